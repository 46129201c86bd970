import { type Condition, type Phase, when } from "../runner.ts";
import { cleanupNodePhase } from "./cleanup-node.ts";
import type { Reset } from "./context.ts";
import { preflightPhase } from "./preflight.ts";
import { ETCD_MANIFEST, removeEtcdMemberPhase } from "./remove-etcd-member.ts";

const OWN_ETCD: Condition<Reset> = {
  holds: ({ files, ledger, lost }) => files.exists(ETCD_MANIFEST) && (lost || ledger.owns(ETCD_MANIFEST)),
  otherwise: "no etcd of kubestick's runs here",
};

/** The phases of `reset`, kubeadm's, in kubeadm's order. */
export const RESET_PHASES: Phase<Reset>[] = [preflightPhase, when(OWN_ETCD, removeEtcdMemberPhase), cleanupNodePhase];
