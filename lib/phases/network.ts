import { agentService } from "../agent/service.ts";
import { clusterRole, clusterRoleBinding, role, roleBinding } from "../api/rbac.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { userYamlObjects } from "../bundle/user-yaml.ts";
import { GROUP_BOOTSTRAPPERS, GROUP_NODES, NAMESPACE_SYSTEM } from "../constants/names.ts";
import {
  AGENT_SERVICE,
  CM_KUBESTICK,
  CNI_CONFIG_FILE,
  CNI_NETWORK,
  FLAT,
  ROLE_NODE_AGENT,
} from "../constants/network.ts";
import { KubestickError, UsageError } from "../errors.ts";
import type { Files } from "../host/files.ts";
import type { Ledger } from "../host/ledger.ts";
import { otherCniConfigs, winningCniConfig } from "../network/cni.ts";
import { applyServiceRoutes, rememberServiceRanges, type ServiceRanges } from "../network/service-routes.ts";
import { readJsonBlob } from "../oci/store.ts";
import { stableExecutable } from "../services/executable.ts";
import type { ServiceManagerControl } from "../services/service.ts";
import type { Ui } from "../ui/ui.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";

/** The node that the agent is started on: init's and join's contexts both are one. */
export interface AgentHost {
  files: Files;
  ledger: Ledger;
  ui: Ui;
  services: ServiceManagerControl;
  options: { dryRun: boolean };
}

/** What the cluster keeps about its network, for its nodes, and what a node's agent may read besides what a kubelet may. */
export function networkObjects(network: string): object[] {
  const name = "kubestick:config";
  const readers = [GROUP_BOOTSTRAPPERS, GROUP_NODES].map((group) => ({ kind: "Group" as const, name: group }));
  return [
    {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: CM_KUBESTICK, namespace: NAMESPACE_SYSTEM },
      data: { network },
    },
    role(NAMESPACE_SYSTEM, name, [
      { apiGroups: [""], resourceNames: [CM_KUBESTICK], resources: ["configmaps"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, name, name, readers),
    clusterRole(ROLE_NODE_AGENT, [
      { apiGroups: ["networking.k8s.io"], resources: ["servicecidrs"], verbs: ["list"] },
      // The node authorizer lets a kubelet see its own Node only (KEP-4601).
      ...(network === FLAT ? [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] }] : []),
    ]),
    clusterRoleBinding(ROLE_NODE_AGENT, ROLE_NODE_AGENT, [{ kind: "Group", name: GROUP_NODES }]),
  ];
}

/** Makes this host's routes to Services, before anything on it connects to one; the node agent keeps them. */
export function startServiceRoutes(ctx: Pick<AgentHost, "files" | "ui" | "options">, said: ServiceRanges): void {
  if (ctx.options.dryRun) {
    const ranges = said.ranges.join(" and ");
    if (ranges) ctx.ui.step("kubelet-start", `Would make routes to Services, ${ranges}, where this host has none`);
    return;
  }
  const { changes, refusals } = applyServiceRoutes(ctx.files, rememberServiceRanges(ctx.files, said));
  for (const change of changes) ctx.ui.step("kubelet-start", `Routes to Services: ${change}`);
  for (const refusal of refusals) ctx.ui.warn(refusal);
}

/**
 * Lets pods wait for the flat network where the runtime would take another's configuration meanwhile, such as podman's:
 * until the control plane has given this node its network, kubestick's comes first with no plugins, which the runtime
 * takes for a network that is not ready.
 */
export function holdPods({ files, ledger, ui }: Pick<AgentHost, "files" | "ledger" | "ui">): void {
  const others = otherCniConfigs(files);
  if (others.length === 0 || winningCniConfig(files) || files.exists(CNI_CONFIG_FILE)) return;
  ledger.claim(CNI_CONFIG_FILE);
  const config = { cniVersion: "1.0.0", name: CNI_NETWORK, plugins: [] };
  files.write(CNI_CONFIG_FILE, `${JSON.stringify(config)}\n`, { mode: 0o644 });
  ui.step("kubelet-start", `Pods wait for kubestick's network, and do not use that of ${others.join(", ")}`);
}

/** Starts the node agent as a service; `network` says who makes the pods' network. */
export async function startNodeAgent(ctx: AgentHost, network: string | undefined): Promise<void> {
  const { ui, files, ledger, services, options } = ctx;
  const foreign = network === FLAT ? winningCniConfig(files) : undefined;
  if (foreign)
    ui.warn(
      `pods get no addresses from kubestick while ${foreign} is there: it is another network's configuration and comes before ${CNI_CONFIG_FILE}; remove it if that network is gone`,
    );
  if (options.dryRun) {
    ui.step("network", `Would start the node agent under ${services.name}`);
    return;
  }
  if (network === FLAT) ledger.claim(CNI_CONFIG_FILE);
  const changed = services.install(agentService(stableExecutable()));
  if (changed) ledger.noteService(AGENT_SERVICE);
  if (!changed && services.isActive(AGENT_SERVICE)) return;
  await services.restart(AGENT_SERVICE);
  ui.step("network", `Starting the node agent under ${services.name}`);
}

/** What others of a manifest need to be there: their namespaces, and the definitions of their kinds. */
const FIRST = ["Namespace", "CustomResourceDefinition"];

/** Applies a provider's objects, several at a time, those first that others need. */
export async function applyProvider(apply: (objects: object[]) => Promise<void>, objects: Plain[]): Promise<void> {
  for (const kind of FIRST) await apply(objects.filter((object) => object["kind"] === kind));
  await apply(objects.filter((object) => !FIRST.includes(String(object["kind"]))));
}

/** The objects of a network provider's manifest: a file, or one that the bundle carries. Throws UsageError for neither. */
export function providerObjects(name: string, text: string | undefined, bundle: Bundle | undefined): Plain[] {
  const carried = bundle?.userYaml.find((m) => m.title === name);
  const source = text ?? (carried && bundle ? readJsonBlob(bundle.store, carried.blob).toString("utf8") : undefined);
  if (source === undefined)
    throw new UsageError(
      `--network ${name}: there is no such file, and the bundle carries no manifest of that name`,
      "give flat, none, or a file of Kubernetes manifests",
    );
  const objects = userYamlObjects(source, name);
  for (const { apiVersion, kind, metadata } of objects) {
    const named = isPlain(metadata) && typeof metadata["name"] === "string" && metadata["name"] !== "";
    if (typeof apiVersion !== "string" || !named)
      throw new KubestickError(
        `${name} holds a ${kind} that is no Kubernetes object: it needs apiVersion and metadata.name`,
      );
  }
  return objects;
}
