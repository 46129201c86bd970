import { errno, KubestickError, reason } from "../errors.ts";

/** An answer that is not what was asked for. */
export class HttpError extends KubestickError {
  override name = "HttpError";

  constructor(
    readonly url: string,
    readonly status: number,
    readonly headers: Record<string, string | string[] | undefined> = {},
    hint?: string,
  ) {
    super(`${url} answered with status ${status}`, { hint: hint ?? STATUS_HINTS[status], code: "download" });
  }
}

const STATUS_HINTS: Record<number, string> = {
  401: "it wants credentials: log in (docker login, skopeo login), or give a file with --registry-config",
  403: "it refuses; check the name, and the credentials in --registry-config",
  404: "check the name and version; --registry-mirror names another place that has it",
};

/** A download that broke off, from a server that cannot go on where it stopped: it has to begin again. */
export class CannotResumeError extends KubestickError {
  override name = "CannotResumeError";

  constructor(what: string) {
    super(`the download of ${what} broke off, and its server cannot go on where it stopped`, {
      code: "download",
      hint: "check the network, or use another server (--registry-mirror, --download-mirror), then run the same command again",
    });
  }
}

/** How often a download may be sent elsewhere. */
export const MAX_REDIRECTS = 5;

/** Statuses that pass: another try may get another one. */
export const PASSING_STATUSES: number[] = [408, 429, ...Array.from({ length: 100 }, (_, i) => 500 + i)];

/** What a failure means, when to try again would not help; by the error's name, code and message. */
const FINAL: [RegExp, (url: string, why: string) => KubestickError][] = [
  [
    /^HTTPParserError | UND_ERR_(HEADERS_OVERFLOW|RES_CONTENT_LENGTH_MISMATCH) | bad (response|upgrade)$/,
    (url, why) =>
      new KubestickError(`${url} does not answer in HTTP as it should: ${why}`, {
        code: "download",
        hint: "is that the registry, or something else that listens there? check the name, and --registry-mirror",
      }),
  ],
  [
    /^\w+ (ERR_SSL_WRONG_VERSION_NUMBER|EPROTO) /,
    (url, why) =>
      new KubestickError(`${url} does not speak TLS: ${why}`, {
        code: "download",
        hint: "a registry that speaks plain HTTP is named with --registry-mirror HOST=http://... and --insecure-registry",
      }),
  ],
  [
    /^\w+ \w*(CERT|SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY)|ERR_TLS_)\w* /,
    (url, why) =>
      new KubestickError(`the certificate of ${url} is not trusted: ${why}`, {
        code: "download",
        hint: "check this host's clock (date), and whether it trusts that CA (update-ca-certificates)",
      }),
  ],
  [
    // undici takes a circle of redirects for a wrong argument.
    / UND_ERR_REDIRECT_MAX | Redirect loop detected/,
    (url) => new KubestickError(`${url} redirects more than ${MAX_REDIRECTS} times`),
  ],
  [/ UND_ERR_INVALID_ARG /, cannotDownload],
];

/** Statuses by which a server says that it has another file than the one whose rest is asked for (RFC 9110 §13.1.1, §14.2). */
export const OTHER_FILE: readonly number[] = [412, 416];

/** Whether to try again would not help: a refusal, a malformed answer, a certificate that nobody trusts. */
export function isFinal(error: unknown): boolean {
  const status = statusOf(error);
  if (status !== undefined) return !PASSING_STATUSES.includes(status);
  return error instanceof KubestickError || finalReason(error) !== undefined;
}

/**
 * A failed download as an error for the person at the console: `what` was to be downloaded, and `url` is the address that was
 * asked last. Gives HttpError for an answer that is none, and CannotResumeError where it has to begin again.
 */
export function explain(error: unknown, what: string, url: string): KubestickError {
  if (error instanceof KubestickError) return error;
  const status = statusOf(error);
  if (status !== undefined && status >= 300 && !OTHER_FILE.includes(status))
    return new HttpError(url, status, (error as { headers?: HttpError["headers"] }).headers);
  if (status !== undefined) return new CannotResumeError(what);
  return (finalReason(error) ?? cannotDownload)(what, reason(error), error);
}

/** The status of an answer that ended a download: undici's RequestRetryError and HttpError have one. */
function statusOf(error: unknown): number | undefined {
  if (error instanceof HttpError) return error.status;
  return errno(error) === "UND_ERR_REQ_RETRY" ? (error as { statusCode: number }).statusCode : undefined;
}

function finalReason(error: unknown) {
  const kind = `${error instanceof Error ? error.name : "Error"} ${errno(error) ?? ""} ${reason(error)}`;
  return FINAL.find(([pattern]) => pattern.test(kind))?.[1];
}

function cannotDownload(what: string, why: string, cause?: unknown): KubestickError {
  return new KubestickError(`cannot download ${what}: ${why}`, {
    code: "download",
    hint: "check the network, a proxy (HTTPS_PROXY) or --registry-mirror, then run the same command again: it goes on where it stopped",
    cause,
  });
}
