import { expect } from "bun:test";
import type { Output } from "../../lib/host/process.ts";

/** Expects that a command went well; a failure shows what it printed, and what else helps to find it. */
export function expectDone(out: Output, about: Record<string, unknown> = {}): void {
  const output = out.status === 0 ? "" : out.stdout + out.stderr;
  expect({ ...about, status: out.status, output }).toEqual({ ...about, status: 0, output: "" });
}
