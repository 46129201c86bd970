import type { ErrorCode } from "../constants/error-codes.ts";
import { errno, KubestickError, reason } from "../errors.ts";

/** A refusal by the API server (meta/v1 Status). `status` is the HTTP code. */
export class ApiError extends KubestickError {
  override name = "ApiError";
  readonly status: number;
  /** How long the server asked to wait, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(what: string, status: number, message: string, options: { retryAfterMs?: number; hint?: string } = {}) {
    super(`${what}: ${EXPLANATIONS[status] ?? `the API server answered ${status}`}${message ? `: ${message}` : ""}`, {
      hint: options.hint ?? HINTS[status] ?? (status >= 300 && status < 400 ? NO_API_SERVER : undefined),
      code: status === 401 || status === 403 ? "api-credentials" : "api-refused",
    });
    this.status = status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** An answer that no API server gives, however often it is asked: a web page, other fields, more than there can be. */
export class AnswerError extends KubestickError {
  override name = "AnswerError";
  /** Whether there is only too much of it. */
  readonly tooLarge: boolean;

  constructor(what: string, server: string, why: string, options: { tooLarge?: boolean; cause?: unknown } = {}) {
    super(`${what}: ${server} does not answer as a Kubernetes API server does: ${why}`, {
      hint: NO_API_SERVER,
      code: "api-answer",
      cause: options.cause,
    });
    this.tooLarge = options.tooLarge ?? false;
  }
}

const NO_API_SERVER =
  "is it the right address and port (mostly 6443), or does an ingress, a portal or a proxy answer there? see: curl -k https://HOST:PORT/version";

/** Why there was no answer. All but `unreachable` and `name` stay as they are, however long one waits. */
export type ConnectFailure = "unreachable" | "name" | "plain" | "clock" | "identity" | "refused";

const CODES: Record<ConnectFailure, ErrorCode> = {
  unreachable: "api-unreachable",
  name: "api-unreachable",
  plain: "api-identity",
  identity: "api-identity",
  clock: "clock",
  refused: "api-credentials",
};

/** No usable answer came: the server is not there, or it is not who it should be. */
export class ConnectError extends KubestickError {
  override name = "ConnectError";
  readonly failure: ConnectFailure;

  constructor(what: string, server: string, cause: unknown) {
    const inner = (cause as { cause?: unknown } | null)?.cause;
    const code = errno(cause) ?? errno(inner) ?? "";
    const detail = reason(inner ?? cause);
    const { failure, said, hint } = FAILURES.find(({ pattern }) => pattern.test(`${code} ${detail}`))!;
    // OpenSSL's own words are its code with numbers before it.
    const shown =
      code && /^error:/.test(detail) ? code : `${code && !detail.includes(code) ? `${code}: ` : ""}${detail}`;
    super(`${what}: ${said(server)} (${shown})`, {
      cause,
      hint: hint(server),
      code: CODES[failure],
    });
    this.failure = failure;
  }

  /** Whether waiting can mend it. */
  get passing(): boolean {
    return this.failure === "unreachable" || this.failure === "name";
  }
}

function unreachable(server: string): string {
  return `cannot reach the API server at ${server}`;
}

function isItRunning(): string {
  return "is the API server running? see: crictl ps -a, and the files below /var/log/pods";
}

const hostOf = (server: string) => (URL.canParse(server) ? new URL(server).hostname.replace(/^\[|\]$/g, "") : server);

/** What is said of each failure, by the runtime's code or words; the first that fits. */
const FAILURES: {
  failure: ConnectFailure;
  pattern: RegExp;
  said: (server: string) => string;
  hint: (server: string) => string;
}[] = [
  // Said in the middle of a handshake too, by a balancer that has no server behind it yet.
  {
    failure: "unreachable",
    pattern: /^(ECONN|ETIMEDOUT|EPIPE|EHOST|ENET|UND_ERR_)/,
    said: unreachable,
    hint: isItRunning,
  },
  {
    failure: "name",
    pattern: /\b(ENOTFOUND|EAI_AGAIN|EAI_NONAME|EAI_FAIL|ENODATA|ESERVFAIL)\b/,
    said: (server) => `the name ${hostOf(server)} does not resolve on this host, so ${server} cannot be reached`,
    hint: (server) =>
      `add it to /etc/hosts (echo "ADDRESS ${hostOf(server)}" >> /etc/hosts), or to the DNS that this host asks`,
  },
  {
    failure: "plain",
    pattern:
      /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|RECORD_TOO_L|TOO_LONG|UNEXPECTED_MESSAGE|UNEXPECTED_RECORD/,
    said: (server) => `${server} does not speak TLS`,
    hint: () => "is it the right port? an API server mostly listens on 6443",
  },
  {
    failure: "clock",
    pattern: /NOT_YET_VALID|HAS_EXPIRED|not yet valid|has expired/i,
    said: (server) =>
      `the certificate of ${server}, or its CA, is not valid at this host's time, ${new Date().toISOString()}`,
    hint: () =>
      "compare the clocks of both hosts (date -u), then the dates: openssl x509 -noout -dates -in /etc/kubernetes/pki/apiserver.crt, there",
  },
  {
    failure: "refused",
    pattern: /ALERT_(BAD_CERT|UNSUPPORTED_CERT|CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)|CERTIFICATE_REQUIRED/,
    said: (server) => `${server} does not accept this client's certificate`,
    hint: () => "is it expired, or of another CA? see: openssl x509 -noout -issuer -dates -in CERTIFICATE",
  },
  {
    failure: "identity",
    pattern:
      /^(CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|ERR_TLS|ERR_SSL|EPROTO|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH|UNSPECIFIED)|certificate|self.signed|altname/i,
    said: (server) => `${server} is not the server it should be`,
    hint: () =>
      "the server's certificate does not come from this cluster's CA, or lacks this address: does the kubeconfig belong to this cluster?",
  },
  { failure: "unreachable", pattern: /(?:)/, said: unreachable, hint: isItRunning },
];

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
