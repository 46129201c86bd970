import { neverInThePast, noteTime } from "../host/clock.ts";
import type { AgentContext, Controller } from "./controller.ts";

/** Puts a clock forward that stands before the last time that this node saw, and keeps that on disk. */
export const clock = ({ files, log }: AgentContext): Controller => ({
  name: "clock",
  async start() {
    const done = neverInThePast(files, new Date());
    if (done) log(done);
  },
  reconcile: () => noteTime(files, new Date()),
});
