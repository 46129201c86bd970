import { dirname, join } from "node:path";
import type { Bundle } from "../bundle/bundle.ts";
import { inspectExecutable } from "../bundle/payload.ts";
import { readPlainText } from "../host/plain-file.ts";
import { sha256OfFile } from "../host/region.ts";
import { formatSums, isSigned, PUBLIC_KEY_FILE, parseSums, SIGNATURE_FILE, SUMS_FILE } from "../release/sums.ts";
import type { Stretch } from "./send-file.ts";

/** What is offered besides the registry: a stretch of a file, or a text; with its SHA-256 in hexadecimal. */
export type Offered = { description: string; sha256?: string } & (Stretch | { text: string });

const MAX_RELEASE_FILE = 1024 * 1024;

/**
 * What a bundle's server offers by name: the bundle, the executable where there is one, each with its SHA-256, and
 * SHA256SUMS. Where the executable lies beside its release's signed SHA256SUMS, that file is it, with its signature, its
 * key, and the executable as it was signed, without a bundle.
 */
export function offerFiles(bundle: Bundle, executable?: { path: string; arch: string }): Record<string, Offered> {
  const { region } = bundle;
  const extent = { path: bundle.path, start: region.offset, end: region.offset + region.length };
  const files: Record<string, Offered> = {
    "bundle.tar": {
      ...extent,
      sha256: region.sha256(),
      description: `the bundle for Kubernetes ${bundle.kubernetesVersion ?? "(not said)"}, ${bundle.architectures.join(", ")}`,
    },
  };
  if (executable) {
    const { path, arch } = executable;
    const { bytes: whole, executableBytes, hasBundle } = inspectExecutable(path);
    const bare = sha256OfFile(path, executableBytes);
    files["kubestick"] = {
      path,
      start: 0,
      end: whole,
      sha256: hasBundle ? sha256OfFile(path, whole) : bare,
      description: `this executable, for ${arch}${hasBundle ? ", with its bundle" : ""}`,
    };
    const release = readRelease(dirname(path), bare);
    if (release)
      return {
        ...files,
        [release.name]: {
          path,
          start: 0,
          end: executableBytes,
          sha256: bare,
          description: `this executable as it is signed in ${SUMS_FILE}, without a bundle`,
        },
        ...release.files,
      };
  }
  const sums = Object.entries(files).map(([name, { sha256 }]) => [name, sha256!] as const);
  return { ...files, [SUMS_FILE]: { text: formatSums(new Map(sums)), description: "the SHA-256 of each" } };
}

/** The signed sums beside an executable and the name that it has in them; undefined where there are none for it. */
function readRelease(directory: string, sha256: string): { name: string; files: Record<string, Offered> } | undefined {
  try {
    const [sums, signature, key] = [SUMS_FILE, SIGNATURE_FILE, PUBLIC_KEY_FILE].map((name) =>
      readPlainText(join(directory, name), MAX_RELEASE_FILE),
    ) as [string, string, string];
    const [name] = [...parseSums(sums, SUMS_FILE)].find(([, sum]) => sum === sha256) ?? [];
    if (name === undefined || !isSigned(sums, signature, key, PUBLIC_KEY_FILE)) return undefined;
    return {
      name,
      files: {
        [SUMS_FILE]: { text: sums, description: "the SHA-256 of each file of the release" },
        [SIGNATURE_FILE]: { text: signature, description: `the signature of ${SUMS_FILE}` },
        [PUBLIC_KEY_FILE]: { text: key, description: "the key that it is signed with" },
      },
    };
  } catch {
    return undefined;
  }
}
