/** Waiting times and lifetimes, in milliseconds; kubeadm's defaults (kubeadm v1beta4 defaults.go). */
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** How long certificates are valid. */
export const CA_VALIDITY = 3650 * DAY;
export const CERTIFICATE_VALIDITY = 365 * DAY;
/**
 * Certificates start this much in the past, so that hosts with slower clocks accept them, and they hold when a clock that
 * ran ahead, as one that was set to local time, is put right; kubeadm's start 5 minutes ago.
 */
export const CERTIFICATE_BACKDATE = DAY;
export const TOKEN_TTL = 24 * HOUR;
export const UPLOADED_CERTS_TTL = 2 * HOUR;

/** How long is waited for the parts of a cluster, unless `timeouts` of the configuration says otherwise. */
export const CONTROL_PLANE_TIMEOUT = 4 * MINUTE;
export const KUBELET_HEALTH_TIMEOUT = 4 * MINUTE;
export const API_CALL_TIMEOUT = 1 * MINUTE;
export const DISCOVERY_TIMEOUT = 5 * MINUTE;
export const TLS_BOOTSTRAP_TIMEOUT = 5 * MINUTE;
