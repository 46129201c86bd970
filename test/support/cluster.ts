import { join } from "node:path";
import { componentVersions, hasBinary, imageTagLines } from "./binaries.ts";
import type { TestNode } from "./node.ts";

/** The source that `kubestick` runs from in tests. */
export const KUBESTICK = [process.execPath, join(import.meta.dir, "../../cmd/kubestick.ts")];

/** The token of every test cluster. */
export const TOKEN = "abcdef.0123456789abcdef";

/** A configuration for a test node: the components' own versions, and a cgroup root that no other kubelet uses. */
export function nodeConfig(node: TestNode, extra = ""): string {
  const { kubernetes } = componentVersions();
  return `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: ${TOKEN}
nodeRegistration:
  name: ${node.name}
  imagePullPolicy: Never
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: ${kubernetes}
networking: {podSubnet: 10.244.0.0/16}
${imageTagLines()}${extra}---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupRoot: /${node.cgroup}
`;
}

/** The command that runs init on a node. Checks that the available components cannot pass are made warnings. */
export function initCommand(node: TestNode, ...flags: string[]): string[] {
  return initWith(node, "", ...flags);
}

/** As initCommand, with more lines in the ClusterConfiguration. */
export function initWith(node: TestNode, extra: string, ...flags: string[]): string[] {
  node.write("/etc/kubernetes/kubestick.yaml", nodeConfig(node, extra));
  return [...KUBESTICK, "init", "--config", "/etc/kubernetes/kubestick.yaml", ...ignoredChecks(), ...flags];
}

/** What a test node joins, and how. */
interface JoinTo {
  endpoint: string;
  pin: string;
  token?: string;
  /** More flags of the kubelet, after a comma. */
  kubeletArgs?: string;
  /** More lines of the nodeRegistration, and of the configuration itself. */
  registration?: string;
  extra?: string;
}

/** The command that joins a test node by a configuration. Its kubelet shares this kernel with others, so it gets a cgroup root of its own. */
export function joinWith(node: TestNode, to: JoinTo, ...flags: string[]): string[] {
  const { endpoint, pin, token = TOKEN, kubeletArgs = "", registration = "", extra = "" } = to;
  node.write(
    "/etc/kubernetes/join.yaml",
    `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration:
  kubeletExtraArgs: [{name: cgroup-root, value: /${node.cgroup}}${kubeletArgs}]
${registration}${extra}discovery: {bootstrapToken: {token: ${token}, apiServerEndpoint: "${endpoint}", caCertHashes: ["${pin}"]}}
`,
  );
  return [...KUBESTICK, "join", "--config=/etc/kubernetes/join.yaml", ...flags];
}

/** The flag that makes warnings of what the available components cannot pass; none where they are the supported ones. */
export function ignoredChecks(): string[] {
  const ignored = [
    ...(componentVersions().supported ? [] : ["KubernetesVersion"]),
    ...(hasBinary("coredns") ? [] : ["ImagePull"]),
  ];
  return ignored.length > 0 ? [`--ignore-preflight-errors=${ignored.join(",")}`] : [];
}
