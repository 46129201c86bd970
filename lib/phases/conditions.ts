import type { Node } from "../edge/node.ts";
import type { ControlPlane } from "./control-plane.ts";
import type { Condition } from "./runner.ts";

/** There is a bundle to install from. */
export const HAS_BUNDLE: Condition<{ node: Node }> = {
  holds: ({ node }) => node.bundle !== undefined,
  otherwise: "there is no bundle",
};

/** etcd runs as a static pod of the control plane. */
export const LOCAL_ETCD: Condition<{ cp: ControlPlane }> = {
  holds: ({ cp }) => !cp.config.cluster.etcd.external,
  otherwise: "etcd is external",
};

/** The cluster is to have CoreDNS. */
export const HAS_DNS: Condition<{ cp: ControlPlane }> = {
  holds: ({ cp }) => !cp.config.cluster.dns.disabled,
  otherwise: "dns.disabled is set",
};

/** The cluster is to have kube-proxy. */
export const HAS_PROXY: Condition<{ cp: ControlPlane }> = {
  holds: ({ cp }) => !cp.config.cluster.proxy.disabled,
  otherwise: "proxy.disabled is set",
};
