import { neverInThePast, noteTime } from "../host/clock.ts";
import type { AgentContext } from "./context.ts";
import type { Controller } from "./controller.ts";

/** A card wears out by being written to. */
const NOTE_MS = 45_000;

/** Puts a clock forward that stands before the last time that this node saw, and keeps that on disk. */
export function clock({ files, log }: AgentContext): Controller {
  let noted = Number.NEGATIVE_INFINITY;
  return {
    name: "clock",
    async start() {
      const done = neverInThePast(files, new Date());
      if (done) log(done);
    },
    reconcile() {
      if (performance.now() - noted < NOTE_MS) return;
      noted = performance.now();
      noteTime(files, new Date());
    },
  };
}
