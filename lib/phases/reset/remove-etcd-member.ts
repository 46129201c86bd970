import { CERTIFICATES_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import { ETCD_CLIENT_PORT } from "../../constants/ports.ts";
import { reason } from "../../errors.ts";
import { commandFlag } from "../../manifests/pod.ts";
import type { Phase } from "../runner.ts";
import type { Reset } from "./context.ts";

/** The static pod of a local etcd. */
export const ETCD_MANIFEST = `${MANIFESTS_DIR}/etcd.yaml`;

/**
 * reset's phase `remove-etcd-member` (kubeadm phases/reset/removeetcdmember.go): a member that goes without being taken
 * out would count against the quorum of those that stay.
 */
export const removeEtcdMemberPhase: Phase<Reset> = {
  name: "remove-etcd-member",
  short: "Remove a local etcd member.",
  live: true,
  flags: ["cert-dir"],
  inputs: [ETCD_MANIFEST, `${CERTIFICATES_DIR}/etcd`],
  run: async ({ files, ui, asked, etcd }, step) => {
    const read = (name: string) => files.readText(`${asked.certificatesDir}/etcd/${name}`) ?? "";
    const peer = commandFlag(files.readText(ETCD_MANIFEST) ?? "", "initial-advertise-peer-urls");
    const tls = {
      ca: read("ca.crt"),
      certificate: read("healthcheck-client.crt"),
      key: read("healthcheck-client.key"),
    };
    const local = etcd([`https://127.0.0.1:${ETCD_CLIENT_PORT}`], tls);
    try {
      const members = await local.list();
      const me = members.find((m) => peer !== undefined && m.peerUrls.includes(peer));
      const others = members.filter((m) => m !== me && !m.learner);
      if (!me || others.length === 0) {
        step(me ? "This is the only member of etcd; its data goes with it" : "This node is no member of etcd");
        return;
      }
      // Asked of the others, whose answer does not depend on this one.
      const rest = etcd([...others.flatMap((m) => m.clientUrls)], tls);
      try {
        await rest.dismiss(me.id, `, which keeps ${others.length} members`, step);
      } finally {
        await rest.close();
      }
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
