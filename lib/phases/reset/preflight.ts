import { KubestickError } from "../../errors.ts";
import type { Phase } from "../runner.ts";
import type { Reset } from "./context.ts";
import { lostLedger } from "./lost-ledger.ts";

/** reset's phase `preflight`: whether this may be done, and is wanted. */
export const preflightPhase: Phase<Reset> = {
  name: "preflight",
  short: "Run reset pre-flight checks",
  live: true,
  flags: ["force"],
  run: async ({ facts, ledger, lost, asked, remover }, step) => {
    step("Running pre-flight checks");
    remover.mayBegin(facts);
    if (lost && !asked.force) throw lostLedger(ledger);
    if (asked.confirm && !(await asked.confirm()))
      throw new KubestickError("nothing was changed: the reset was not confirmed", {
        hint: "answer y, or give --force to do it without being asked",
      });
  },
};
