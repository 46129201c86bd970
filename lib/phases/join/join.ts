import { bundlePhase } from "../bundle.ts";
import { HAS_BUNDLE } from "../conditions.ts";
import { type Condition, type Phase, when } from "../runner.ts";
import type { Join } from "./context.ts";
import { controlPlaneJoinPhase } from "./control-plane-join.ts";
import { controlPlanePreparePhase } from "./control-plane-prepare.ts";
import { etcdJoinPhase } from "./etcd-join.ts";
import { kubeletStartPhase } from "./kubelet-start.ts";
import { kubeletWaitBootstrapPhase } from "./kubelet-wait-bootstrap.ts";
import { networkPhase } from "./network.ts";
import { preflightPhase } from "./preflight.ts";
import { waitControlPlanePhase } from "./wait-control-plane.ts";

const CONTROL_PLANE: Condition<Join> = {
  holds: ({ config }) => config.controlPlane !== undefined,
  otherwise: "this node joins as a worker",
};

/** The phases of `join`: kubeadm's, in kubeadm's order, and the bundle's. */
export const JOIN_PHASES: Phase<Join>[] = [
  preflightPhase,
  when(HAS_BUNDLE, bundlePhase),
  when(CONTROL_PLANE, controlPlanePreparePhase),
  kubeletStartPhase,
  when(CONTROL_PLANE, etcdJoinPhase),
  when(CONTROL_PLANE, kubeletWaitBootstrapPhase),
  when(CONTROL_PLANE, controlPlaneJoinPhase),
  when(CONTROL_PLANE, waitControlPlanePhase),
  networkPhase,
];

/** What a finished join says. */
export const joined = (controlPlane: boolean): string => `
This node has joined the cluster${controlPlane ? " and a new control plane instance was created" : ""}:
* a certificate signing request was sent to the API server and a response was received;
* the kubelet was informed of the new secure connection details.

Run 'kubectl get nodes' on the control-plane to see this node join the cluster.`;
