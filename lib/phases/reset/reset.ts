import { MANIFESTS_DIR } from "../../constants/paths.ts";
import { ETCD_CLIENT_PORT } from "../../constants/ports.ts";
import { KubestickError, reason } from "../../errors.ts";
import { EtcdClient } from "../../etcd/client.ts";
import { commandFlag } from "../../manifests/pod.ts";
import type { Phase } from "../runner.ts";
import { cleanUpNode } from "./cleanup.ts";
import type { ResetContext } from "./context.ts";
import { lostLedger } from "./lost-ledger.ts";

const preflightPhase: Phase<ResetContext> = {
  name: "preflight",
  short: "Run reset pre-flight checks",
  live: true,
  run: async ({ facts, options, ui, ledger, lost }) => {
    ui.step("preflight", "Running pre-flight checks");
    if (!facts.root && !options.dryRun)
      throw new KubestickError("this is not root", { exitCode: 3, hint: "run the same command with sudo" });
    if (lost && !options.force) throw lostLedger(ledger);
    if (options.force || options.dryRun) return;
    if (!(await options.confirm()))
      throw new KubestickError("nothing was changed: the reset was not confirmed", {
        hint: "answer y, or give --force to do it without being asked",
      });
  },
};

/** A member that goes without being taken out would count against the quorum of those that stay. */
const removeEtcdMemberPhase: Phase<ResetContext> = {
  name: "remove-etcd-member",
  short: "Remove a local etcd member.",
  live: true,
  skipIf: ({ files, ledger, lost }) => {
    const manifest = `${MANIFESTS_DIR}/etcd.yaml`;
    if (!files.exists(manifest)) return "no etcd runs here";
    return lost || ledger.owns(manifest) ? undefined : `kubestick did not write ${manifest}`;
  },
  run: async (ctx) => {
    const { files, options, ui } = ctx;
    const read = (name: string) => files.readText(`${options.certificatesDir}/etcd/${name}`) ?? "";
    const peer = commandFlag(files.readText(`${MANIFESTS_DIR}/etcd.yaml`) ?? "", "initial-advertise-peer-urls");
    const tls = {
      ca: read("ca.crt"),
      certificate: read("healthcheck-client.crt"),
      key: read("healthcheck-client.key"),
    };
    const local = new EtcdClient([`https://127.0.0.1:${ETCD_CLIENT_PORT}`], tls);
    try {
      const members = await local.list();
      const me = members.find((m) => peer !== undefined && m.peerUrls.includes(peer));
      const others = members.filter((m) => m !== me && !m.learner);
      if (!me || others.length === 0) {
        ui.step(
          "remove-etcd-member",
          me ? "This is the only member of etcd; its data goes with it" : "This node is no member of etcd",
        );
        return;
      }
      if (options.dryRun) {
        ui.step("remove-etcd-member", `Would take this node out of etcd, which keeps ${others.length} members`);
        return;
      }
      // Asked of the others, whose answer does not depend on this one.
      const rest = new EtcdClient([...others.flatMap((m) => m.clientUrls)], tls);
      try {
        await rest.remove(me.id);
      } finally {
        await rest.close();
      }
      ui.step("remove-etcd-member", `Took this node out of etcd, which keeps ${others.length} members`);
    } catch (error) {
      // A half-made or broken node must be resettable too.
      ui.warn(
        `this node could not be taken out of etcd (${reason(error)}); if others remain, remove it there: etcdctl member list, etcdctl member remove ID`,
      );
    } finally {
      await local.close();
    }
  },
};

/** The phases of `reset`, kubeadm's, in kubeadm's order. */
export const RESET_PHASES: Phase<ResetContext>[] = [
  preflightPhase,
  removeEtcdMemberPhase,
  { name: "cleanup-node", short: "Run cleanup node.", live: true, run: cleanUpNode },
];
