import { dirname, resolve } from "node:path";
import { freeBytes } from "../host/file-system.ts";
import { formatBytes } from "../ui/table.ts";
import type { Ui } from "../ui/ui.ts";
import type { leftOut } from "./left-out.ts";
import type { Gain } from "./recompress.ts";
import type { Plan, Progress } from "./sources.ts";

const LEFT_OUT_SHOWN = 20;

/** Says what does not go in, the first twenty of each kind. */
export function sayLeftOut(ui: Ui, { warnings, notes }: ReturnType<typeof leftOut>): void {
  const some = (all: string[]) =>
    all.length > LEFT_OUT_SHOWN ? [...all.slice(0, LEFT_OUT_SHOWN), `And ${all.length - LEFT_OUT_SHOWN} more`] : all;
  for (const words of some(notes)) ui.step("create", words);
  for (const words of some(warnings)) ui.warn(words);
}

/** Says how much is to come, and warns where the disk is too small for it. */
export function sayPlan(ui: Ui, { files, bytes, unknown, total }: Plan, target: string): void {
  if (files === 0) return;
  const open = unknown > 0 ? `, and ${unknown} of them are of unknown size` : "";
  ui.step("create", `To get: ${files} files, ${formatBytes(bytes)}${open}`);
  const directory = dirname(resolve(target));
  // What was staged goes only when the bundle has been written.
  const [needed, free] = [bytes + total, freeBytes(directory)];
  if (needed > free)
    ui.warn(`${directory} has ${formatBytes(free)} free, and making the bundle there takes ${formatBytes(needed)}`);
}

/** A line of how far a creation is. */
export function stateLine(state: Progress): string {
  const share = state.bytes > 0 ? Math.min(1, state.bytesDone / state.bytes) : 0;
  const bar = "#".repeat(Math.round(share * 20)).padEnd(20, ".");
  const of = state.bytes > state.bytesDone ? ` of ${formatBytes(state.bytes)}` : "";
  return `[${bar}] ${state.filesDone} of ${state.files} files, ${formatBytes(state.bytesDone)}${of}`;
}

/** Says what compressing layers anew gained. */
export function sayGain(ui: Ui, { before, after }: Gain): void {
  ui.step(
    "create",
    `zstd: layers went from ${formatBytes(before)} to ${formatBytes(after)}, ${(100 - (after / before) * 100 || 0).toFixed(1)}% less`,
  );
}
