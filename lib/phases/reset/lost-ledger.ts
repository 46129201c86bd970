import { LAST_TIME_FILE } from "../../constants/network.ts";
import { LEDGER_FILE, OWN_EXECUTABLE, SERVICES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import type { Files } from "../../host/files.ts";
import type { Ledger } from "../../host/ledger.ts";
import { previousOf } from "../../host/record.ts";

/** What only a host has that kubestick set up. */
const TRACES = [OWN_EXECUTABLE, SERVICES_DIR, LAST_TIME_FILE];

/** Whether kubestick set this host up and its account of what it wrote is damaged, or gone. */
export const isLost = (files: Files, ledger: Ledger): boolean =>
  ledger.condition === "damaged" || (ledger.condition === "none" && TRACES.some((path) => files.exists(path)));

/** Says what can be done without the account of what kubestick wrote. */
export function lostLedger(ledger: Ledger): KubestickError {
  const what = ledger.condition === "damaged" ? "is damaged, and so is its copy" : "is gone";
  return new KubestickError(
    `${LEDGER_FILE}, kubestick's account of what it wrote on this host, ${what} (${previousOf(LEDGER_FILE)})`,
    {
      hint: `restore one of the two from a backup; or kubestick reset --force removes what kubeadm reset removes (the control plane's manifests, certificates and kubeconfigs, the data of the kubelet and etcd) and the files that bear kubestick's mark; --dry-run shows them`,
    },
  );
}
