import type { Bundle } from "../bundle/bundle.ts";
import { manifestObjects } from "../bundle/user-manifests.ts";
import { AGENT_ENV, AGENT_SERVICE, CNI_CONFIG_FILE, CNI_NETWORK, FLAT } from "../constants/network.ts";
import type { Edges } from "../edge/edges.ts";
import { KubestickError, UsageError } from "../errors.ts";
import type { Files } from "../host/files.ts";
import type { Ledger } from "../host/ledger.ts";
import { otherCniConfigs, winningCniConfig } from "../node/cni.ts";
import { readJsonBlob } from "../oci/store.ts";
import type { Ui } from "../ui/ui.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";

/** The node that the agent is started on: init's and join's contexts both are one. */
export interface AgentHost extends Pick<Edges, "services" | "programs"> {
  files: Files;
  ledger: Ledger;
  ui: Ui;
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
  const { ui, files, ledger, services } = ctx;
  const foreign = network === FLAT ? winningCniConfig(files) : undefined;
  if (foreign)
    ui.warn(
      `pods get no addresses from kubestick while ${foreign} is there: it is another network's configuration and comes before ${CNI_CONFIG_FILE}; remove it if that network is gone`,
    );
  if (network === FLAT) ledger.claim(CNI_CONFIG_FILE);
  const [program = "", ...args] = ctx.programs.self();
  const changed = services.install({
    name: AGENT_SERVICE,
    description: "kubestick's node agent: routes and addresses of pods and Services",
    program,
    args: [...args, "node-agent"],
    env: AGENT_ENV,
  });
  if (!changed && services.isActive(AGENT_SERVICE)) return;
  await services.start(AGENT_SERVICE, "the node agent", (text) => ui.step("network", text));
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
  const carried = bundle?.manifests.find((m) => m.title === name);
  const source = text ?? (carried && bundle ? readJsonBlob(bundle.store, carried.blob).toString("utf8") : undefined);
  if (source === undefined)
    throw new UsageError(
      `--network ${name}: there is no such file, and the bundle carries no manifest of that name`,
      "give flat, none, or a file of Kubernetes manifests",
    );
  const objects = manifestObjects(source, name);
  for (const { apiVersion, kind, metadata } of objects) {
    const named = isPlain(metadata) && typeof metadata["name"] === "string" && metadata["name"] !== "";
    if (typeof apiVersion !== "string" || !named)
      throw new KubestickError(
        `${name} holds a ${kind} that is no Kubernetes object: it needs apiVersion and metadata.name`,
      );
  }
  return objects;
}
