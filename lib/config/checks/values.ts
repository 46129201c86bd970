import { isAbsolute } from "node:path";
import { TOKEN_PATTERN } from "../../constants/tokens.ts";
import { parseDuration } from "../../util/duration.ts";
import type { Report } from "../kind.ts";

/** Checks a path of the host. */
export function checkAbsolute(path: string | undefined, at: string, report: Report): void {
  if (path !== undefined && path !== "" && (!isAbsolute(path) || path.includes("\0"))) {
    report(at, `${JSON.stringify(path)} must be an absolute path`);
  }
}

/** Checks that a duration is one that can be waited for; gives its milliseconds. */
export function checkPositive(duration: string | undefined, at: string, report: Report): number | undefined {
  if (duration === undefined) return undefined;
  const ms = parseDuration(duration);
  if (ms <= 0) report(at, "must be greater than zero");
  return ms;
}

/** Checks each of a document's `timeouts`. */
export function checkTimeouts(timeouts: Record<string, string | undefined> | undefined, report: Report): void {
  for (const [name, value] of Object.entries(timeouts ?? {})) checkPositive(value, `timeouts.${name}`, report);
}

/** Checks a bootstrap token, without repeating it. */
export function checkToken(token: string | undefined, at: string, report: Report): void {
  if (token !== undefined && !TOKEN_PATTERN.test(token)) {
    report(at, "must be six characters, a dot and sixteen characters, all of a-z and 0-9 (as abcdef.0123456789abcdef)");
  }
}

/** Checks the key that certificates are uploaded with, without repeating it. */
export function checkCertificateKey(key: string | undefined, at: string, report: Report): void {
  if (key !== undefined && key !== "" && !/^[0-9a-f]{64}$/i.test(key)) {
    report(at, "must be 64 hexadecimal digits (32 bytes), as `openssl rand -hex 32` prints");
  }
}
