import { LEDGER_FILE } from "../constants/paths.ts";
import type { Ledger } from "../host/ledger.ts";
import { previousOf } from "../host/record.ts";
import { type Check, error, warning } from "./check.ts";

/** What kubestick knows of its own files on this host must be readable, or each of them counts as somebody else's. */
export const LEDGER_CHECK: Check<{ ledger: Ledger }> = {
  name: "Ledger",
  why: "without it kubestick's own files cannot be told from others'",
  run: ({ ledger }) => {
    if (ledger.condition === "restored")
      return warning(`${LEDGER_FILE} is damaged; its copy from before the last change is used`);
    if (ledger.condition !== "damaged") return [];
    return error(
      `${LEDGER_FILE}, kubestick's account of what it wrote on this host, is damaged, and so is its copy ${previousOf(LEDGER_FILE)}`,
      "restore one of the two from a backup, or begin anew: kubestick reset --force takes this node down, its data included (--dry-run shows what would go)",
    );
  },
};
