import { HOST_BINARIES_FILE } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";

/** A host binary that kubestick installed: what it was made of, and the programs. */
export interface Installed {
  version: string;
  digest: string;
  files: string[];
}

/** The host binaries that kubestick installed, by name. A damaged record counts as none: then nothing is ours to replace. */
export function readInstalled(files: Files): Record<string, Installed> {
  try {
    const value = JSON.parse(files.readText(HOST_BINARIES_FILE) ?? "{}") as Record<string, Installed>;
    const whole = Object.entries(value).filter(
      ([, v]) => typeof v?.version === "string" && typeof v.digest === "string" && isPaths(v.files),
    );
    return Object.fromEntries(whole);
  } catch {
    return {};
  }
}

const isPaths = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((path) => typeof path === "string" && path.startsWith("/") && !path.includes("\0"));

/** Notes what kubestick installed. */
export function writeInstalled(files: Files, installed: Record<string, Installed>): void {
  files.write(HOST_BINARIES_FILE, `${JSON.stringify(installed, null, 1)}\n`, { mode: 0o644 });
}
