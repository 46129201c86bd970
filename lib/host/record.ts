import type { Files } from "./files.ts";

/** The copy of a record that was the record before its last change. */
export const previousOf = (path: string): string => `${path}.previous`;

/** What was found of a record. */
export interface Found<T> {
  value: T | undefined;
  /** `restored` where only the previous copy can be read, `damaged` where none can, `none` where none is there. */
  condition: "whole" | "restored" | "damaged" | "none";
}

/**
 * Reads a record that kubestick keeps for itself, or the copy from before its last change where it is damaged: a card that
 * lost power while it wrote gives zeros, or nothing, for what was written last. `parse` gives undefined, or throws, for
 * what is no record.
 */
export function readRecord<T>(files: Files, path: string, parse: (text: string) => T | undefined): Found<T> {
  const read = (at: string): T | undefined | "none" => {
    try {
      const text = files.readText(at);
      return text === undefined ? "none" : parse(text);
    } catch {
      // No text, no plain file, or a disk that cannot be read.
      return undefined;
    }
  };
  const now = read(path);
  if (now !== undefined && now !== "none") return { value: now, condition: "whole" };
  const before = read(previousOf(path));
  if (before !== undefined && before !== "none") return { value: before, condition: "restored" };
  return { value: undefined, condition: now === "none" && before === "none" ? "none" : "damaged" };
}

/** Writes a record, and keeps the one that is there as the previous one, unless that is `damaged`. Throws KubestickError. */
export function writeRecord(
  files: Files,
  path: string,
  text: string,
  options: { mode?: number; damaged: boolean },
): void {
  if (!options.damaged) files.keepAs(path, previousOf(path));
  files.write(path, text, { mode: options.mode });
}
