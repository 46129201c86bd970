import { join } from "node:path";
import { Bundle } from "../bundle/bundle.ts";
import { inspectExecutable } from "../bundle/payload.ts";
import { KubestickError, reason, UsageError } from "../errors.ts";
import { isThere } from "../host/file-system.ts";
import { readPlainText } from "../host/plain-file.ts";
import { sha256OfFile } from "../host/region.ts";
import type { Ui } from "../ui/ui.ts";
import { fingerprint, isSigned, PUBLIC_KEY_FILE, parseSums, SIGNATURE_FILE, SUMS_FILE } from "./sums.ts";

/** What is believed of a release's key. */
export interface VerifyOptions {
  /** The public key's file; without one the key beside the sums. */
  key?: string | undefined;
  /** What its fingerprint must be. */
  fingerprint?: string | undefined;
}

/**
 * Checks a release's signature and every file of it that is in a directory; an executable's bundle is checked by its own
 * digests, since it was attached later. Throws KubestickError at the first thing that is wrong.
 */
export function verifyRelease(
  directory: string,
  options: VerifyOptions,
  ui: Ui,
): { directory: string; files: string[]; fingerprint: string } {
  const sumsFile = join(directory, SUMS_FILE);
  const keyFile = options.key ?? join(directory, PUBLIC_KEY_FILE);
  const [text, signature, key] = [read(sumsFile), read(join(directory, SIGNATURE_FILE)), read(keyFile)];
  const print = fingerprint(key, keyFile);
  const wanted = options.fingerprint;
  const wrong = (message: string, hint: string) => new KubestickError(message, { hint, code: "signature" });
  if (wanted !== undefined && wanted !== print)
    throw wrong(
      `the key in ${keyFile} has the fingerprint ${print}, not ${wanted}`,
      "do not use these files; get them, and the fingerprint, again from somebody you trust",
    );
  if (!isSigned(text, signature, key, keyFile))
    throw wrong(`${sumsFile} is not signed by the key in ${keyFile}`, "do not use these files; download them again");
  const checked: string[] = [];
  for (const [name, digest] of parseSums(text, sumsFile)) {
    const path = join(directory, name);
    if (!isThere(path)) continue;
    const { executableBytes: length, hasBundle } = inspectExecutable(path);
    if (sha256OfFile(path, length) !== digest)
      throw wrong(`${path} is not the file that was signed`, "do not use it; download it again");
    if (hasBundle) {
      using bundle = Bundle.open(path);
      bundle.verify();
    }
    checked.push(name);
    ui.step("verify", `${name}: signature OK${hasBundle ? ", bundle intact" : ""}`);
  }
  if (checked.length === 0)
    throw new KubestickError(`none of the files of ${sumsFile} is in ${directory}`, {
      hint: "name their directory: kubestick verify DIR",
      code: "not-found",
    });
  ui.step("verify", `Signed by the key ${print}${wanted ? "" : "; compare that with what its owner tells you"}`);
  return { directory, files: checked, fingerprint: print };
}

function read(path: string): string {
  try {
    return readPlainText(path);
  } catch (error) {
    throw new UsageError(
      `cannot read ${path}: ${reason(error)}`,
      "name the directory of a release: kubestick verify DIR",
    );
  }
}
