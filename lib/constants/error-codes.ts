/** The `code` of a failure in `--output json`: words that stay, for programs; each with what it means. */
export const ERROR_CODES = {
  usage:
    "the command line cannot be used: an unknown command or flag, a value of the wrong form, a file that is not there",
  config: "the configuration cannot be used; every problem is named with its file, line and path",
  preflight: "preflight checks failed, and nothing was changed",
  busy: "another kubestick is changing the same host, lab or file",
  permission: "the rights to a file are missing; mostly kubestick was not run as root",
  "disk-full": "there is no space left, or the quota is used up",
  disk: "a disk or stick fails, or its file system is read-only",
  system: "the system refused something else: a file, a directory, a socket, a program",
  foreign: "something that kubestick did not write is in the way, and was left as it is",
  damaged: "a bundle, archive, lock file or download does not match its digests, or was cut short",
  signature: "a signature or fingerprint is not the expected one",
  download: "a registry or download site did not give what was asked for",
  runtime: "the container runtime does not answer, or refused something",
  "api-unreachable": "no API server answers at that address",
  "api-identity": "the server is not who it should be: its certificate, its CA, or it speaks no TLS",
  "api-credentials": "the API server does not accept the credentials, or forbids this with them (401, 403)",
  "api-refused": "the API server refused it for another reason",
  "api-answer": "what answers is not an API server",
  clock: "certificates are not valid at this host's time, or a clock is wrong",
  token: "the cluster does not know the token, or is not shown to those who have only one",
  etcd: "etcd does not answer, or refused something",
  timeout: "something did not happen in its time",
  "not-found": "what was named is not there: a file, a token, a lab",
  failed: "anything else",
  bug: "a bug in kubestick; please report it with what it printed",
} as const;

/** One of the words that `code` can be. */
export type ErrorCode = keyof typeof ERROR_CODES;
