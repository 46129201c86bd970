import { HOST_BINARIES_FILE } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import { type Found, readRecord, writeRecord } from "../host/record.ts";

/** A host binary that kubestick installed: what it was made of, and the programs. */
export interface Installed {
  version: string;
  digest: string;
  files: string[];
}

/** The record of host binaries as it was found. */
export const findInstalled = (files: Files): Found<Record<string, Installed>> =>
  readRecord(files, HOST_BINARIES_FILE, parse);

/** The host binaries that kubestick installed, by name. A damaged record counts as none: then nothing is ours to replace. */
export const readInstalled = (files: Files): Record<string, Installed> => findInstalled(files).value ?? {};

const isPaths = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((path) => typeof path === "string" && path.startsWith("/") && !path.includes("\0"));

/** Notes what kubestick installed. */
export function writeInstalled(files: Files, installed: Record<string, Installed>): void {
  const { condition } = findInstalled(files);
  const damaged = condition === "restored" || condition === "damaged";
  writeRecord(files, HOST_BINARIES_FILE, `${JSON.stringify(installed, null, 1)}\n`, { mode: 0o644, damaged });
}

/** Throws, or gives undefined, for what is no such record; what is no host binary in it is left out. */
function parse(text: string): Record<string, Installed> | undefined {
  const value: unknown = JSON.parse(text);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const isInstalled = (v: Partial<Installed> | null): boolean =>
    typeof v?.version === "string" && typeof v.digest === "string" && isPaths(v.files);
  return Object.fromEntries(Object.entries(value as Record<string, Installed>).filter(([, v]) => isInstalled(v)));
}
