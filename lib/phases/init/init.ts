import { bundlePhase } from "../bundle.ts";
import { HAS_BUNDLE } from "../conditions.ts";
import { type Condition, type Phase, when } from "../runner.ts";
import { addonPhase } from "./addon.ts";
import { bootstrapTokenPhase } from "./bootstrap-token.ts";
import { certsPhase } from "./certs.ts";
import type { Init } from "./context.ts";
import { controlPlanePhase } from "./control-plane.ts";
import { etcdPhase } from "./etcd.ts";
import { kubeconfigPhase } from "./kubeconfig.ts";
import { kubeletFinalizePhase } from "./kubelet-finalize.ts";
import { kubeletStartPhase } from "./kubelet-start.ts";
import { markControlPlanePhase } from "./mark-control-plane.ts";
import { preflightPhase } from "./preflight.ts";
import { showJoinCommandPhase } from "./show-join-command.ts";
import { uploadCertsPhase } from "./upload-certs.ts";
import { uploadConfigPhase } from "./upload-config.ts";
import { waitControlPlanePhase } from "./wait-control-plane.ts";

const UPLOAD_ASKED: Condition<Init> = { holds: ({ asked }) => asked.uploadCerts, otherwise: "see --upload-certs" };

/** The phases of `init`: kubeadm's, in kubeadm's order, and the bundle's before all that needs it. */
export const INIT_PHASES: Phase<Init>[] = [
  preflightPhase,
  when(HAS_BUNDLE, bundlePhase),
  certsPhase,
  kubeconfigPhase,
  etcdPhase,
  controlPlanePhase,
  kubeletStartPhase,
  waitControlPlanePhase,
  uploadConfigPhase,
  when(UPLOAD_ASKED, uploadCertsPhase),
  markControlPlanePhase,
  bootstrapTokenPhase,
  kubeletFinalizePhase,
  addonPhase,
  showJoinCommandPhase,
];
