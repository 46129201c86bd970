import { existsSync } from "node:fs";
import { join } from "node:path";
import { Bundle } from "../lib/bundle/bundle.ts";
import { inspectExecutable } from "../lib/bundle/payload.ts";
import { KubestickError, reason, UsageError } from "../lib/errors.ts";
import { readPlainText } from "../lib/host/plain-file.ts";
import { sha256OfFile } from "../lib/host/region.ts";
import { fingerprint, isSigned, PUBLIC_KEY_FILE, parseSums, SIGNATURE_FILE, SUMS_FILE } from "../lib/release/sums.ts";
import { printJson } from "../lib/ui/ui.ts";
import { byName, type Flag, GLOBAL_FLAGS, uiOf } from "./flags.ts";

/** The flags of `verify`. */
export const VERIFY_FLAGS: Flag[] = byName([
  { name: "key", description: `The public key (default ${PUBLIC_KEY_FILE} beside ${SUMS_FILE}).`, valueHint: "file" },
  {
    name: "fingerprint",
    description: "What the key's fingerprint must be, as told by somebody you trust (sha256:<hex>).",
    valueHint: "digest",
  },
  ...GLOBAL_FLAGS,
]);

/**
 * `verify [DIR]`: checks a release's signature and every file of it that is there; an executable's bundle is checked by
 * its own digests, since it was attached later. Throws KubestickError at the first thing that is wrong.
 */
export function verifyRelease(given: Map<string, string>, [directory = "."]: string[]): void {
  const ui = uiOf(given);
  const sumsFile = join(directory, SUMS_FILE);
  const keyFile = given.get("key") ?? join(directory, PUBLIC_KEY_FILE);
  const [text, signature, key] = [read(sumsFile), read(join(directory, SIGNATURE_FILE)), read(keyFile)];
  const print = fingerprint(key, keyFile);
  const wanted = given.get("fingerprint");
  if (wanted !== undefined && wanted !== print)
    throw new KubestickError(`the key in ${keyFile} has the fingerprint ${print}, not ${wanted}`, {
      hint: "do not use these files; get them, and the fingerprint, again from somebody you trust",
    });
  if (!isSigned(text, signature, key, keyFile))
    throw new KubestickError(`${sumsFile} is not signed by the key in ${keyFile}`, {
      hint: "do not use these files; download them again",
    });
  const checked: string[] = [];
  for (const [name, digest] of parseSums(text, sumsFile)) {
    const path = join(directory, name);
    if (!existsSync(path)) continue;
    const { executableBytes: length, hasBundle } = inspectExecutable(path);
    if (sha256OfFile(path, length) !== digest)
      throw new KubestickError(`${path} is not the file that was signed`, { hint: "do not use it; download it again" });
    if (hasBundle) {
      using bundle = Bundle.open(path);
      bundle.verify();
    }
    checked.push(name);
    ui.step("verify", `${name}: as signed${hasBundle ? ", and its bundle is whole" : ""}`);
  }
  if (checked.length === 0)
    throw new KubestickError(`none of the files of ${sumsFile} is in ${directory}`, {
      hint: "name their directory: kubestick verify DIR",
    });
  ui.step("verify", `Signed by the key ${print}${wanted ? "" : "; compare that with what its owner tells you"}`);
  if (ui.json) printJson({ command: "verify", directory, files: checked, fingerprint: print });
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
