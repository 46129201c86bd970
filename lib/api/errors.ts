import { errno, KubestickError, reason } from "../host/errors.ts";

/** A refusal by the API server (meta/v1 Status). `status` is the HTTP code. */
export class ApiError extends KubestickError {
  override name = "ApiError";
  readonly status: number;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(what: string, status: number, message: string, retryAfterMs?: number) {
    super(`${what}: ${EXPLANATIONS[status] ?? `the API server answered ${status}`}${message ? `: ${message}` : ""}`, {
      hint: HINTS[status],
    });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No usable answer came: the server is not there, or it is not who it should be. */
export class ConnectError extends KubestickError {
  override name = "ConnectError";
  /** Whether it is the TLS identity that is wrong, which waiting does not mend. */
  readonly tls: boolean;

  constructor(what: string, server: string, cause: unknown) {
    const code = errno(cause) ?? errno((cause as { cause?: unknown }).cause);
    const detail = reason((cause as { cause?: unknown }).cause ?? cause);
    const tls = isTlsFailure(code, detail);
    super(
      `${what}: ${tls ? `${server} is not the server it should be` : `cannot reach the API server at ${server}`} (${code && !detail.includes(code) ? `${code}: ` : ""}${detail})`,
      {
        cause,
        hint: tls
          ? "the server's certificate does not come from this cluster's CA, or lacks this address: does the kubeconfig belong to this cluster?"
          : "is the API server running? see: crictl ps -a, and the files below /var/log/pods",
      },
    );
    this.tls = tls;
  }
}

const EXPLANATIONS: Record<number, string> = {
  401: "the API server does not accept these credentials (401)",
  403: "the API server forbids this (403)",
  404: "not found (404)",
  409: "somebody else changed it at the same time, or owns these fields (409)",
  422: "the API server finds the object invalid (422)",
};

const HINTS: Record<number, string> = {
  401: "is the certificate or token expired, or the clock of this host wrong? see: date -u; openssl x509 -enddate -noout -in CERTIFICATE",
  403: "use a kubeconfig with more rights, such as --kubeconfig /etc/kubernetes/super-admin.conf",
  409: "look at the object (kubectl get -o yaml --show-managed-fields), then run the same command again",
  422: "the message above names the field; correct it in the configuration and run the same command again",
};

function isTlsFailure(code: string | undefined, detail: string): boolean {
  if (code && /^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH)/.test(code))
    return true;
  return /certificate|self.signed|altname|TLS|SSL/i.test(detail);
}
