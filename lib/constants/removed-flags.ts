/** The first etcd without the flags that 3.6 had renamed, and what each is called now (etcd CHANGELOG-3.7, 3.6's own usage text). */
export const ETCD_FLAGS_REMOVED_VERSION = "3.7.0";
export const ETCD_REMOVED_PREFIX = "experimental-";
export const ETCD_FLAGS_NOW_GATES: Record<string, string> = {
  "experimental-compact-hash-check-enabled": "CompactHashCheck",
  "experimental-enable-lease-checkpoint": "LeaseCheckpoint",
  "experimental-enable-lease-checkpoint-persist": "LeaseCheckpointPersist",
  "experimental-initial-corrupt-check": "InitialCorruptCheck",
  "experimental-stop-grpc-service-on-defrag": "StopGRPCServiceOnDefrag",
  "experimental-txn-mode-write-with-shared-buffer": "TxnModeWriteWithSharedBuffer",
};
/** The discovery of v2's time, which went with the same release and has nothing in its place here. */
export const ETCD_REMOVED_FLAGS = ["discovery", "discovery-proxy"];

/** The first kubelet without the flags that cAdvisor had brought in; it does not start with one of them (kubernetes#139870). */
export const KUBELET_FLAGS_REMOVED_VERSION = "v1.37.0";
/** Spelled with hyphens; the kubelet took underscores as well. */
export const KUBELET_REMOVED_FLAGS = [
  "application-metrics-count-limit",
  "boot-id-file",
  "container-hints",
  "containerd",
  "containerd-namespace",
  "enable-load-reader",
  "event-storage-age-limit",
  "event-storage-event-limit",
  "global-housekeeping-interval",
  "log-cadvisor-usage",
  "machine-id-file",
  "storage-driver-buffer-duration",
  "storage-driver-db",
  "storage-driver-host",
  "storage-driver-password",
  "storage-driver-secure",
  "storage-driver-table",
  "storage-driver-user",
];

/** kubeadm's feature gates that are gone, and the first version without them: it refuses a configuration that names one. */
export const REMOVED_FEATURE_GATES: Record<string, string> = {
  ControlPlaneKubeletLocalMode: "v1.36.0",
  NodeLocalCRISocket: "v1.37.0",
  PublicKeysECDSA: "v1.37.0",
};
