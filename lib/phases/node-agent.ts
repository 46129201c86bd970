import { agentService } from "../agent/service.ts";
import { AGENT_SERVICE, CNI_CONFIG_FILE, CNI_NETWORK, FLAT } from "../constants/network.ts";
import type { Node } from "../edge/node.ts";
import { otherCniConfigs, winningCniConfig } from "../network/cni.ts";
import type { Say } from "../ui/ui.ts";

/**
 * Lets pods wait for the flat network where the runtime would take another's configuration meanwhile, such as podman's:
 * until the control plane has given this node its network, kubestick's comes first with no plugins, which the runtime
 * takes for a network that is not ready.
 */
export function holdPods({ files, ledger }: Pick<Node, "files" | "ledger">, step: Say): void {
  const others = otherCniConfigs(files);
  if (others.length === 0 || winningCniConfig(files) || files.exists(CNI_CONFIG_FILE)) return;
  ledger.claim(CNI_CONFIG_FILE);
  const config = { cniVersion: "1.0.0", name: CNI_NETWORK, plugins: [] };
  files.write(CNI_CONFIG_FILE, `${JSON.stringify(config)}\n`, { mode: 0o644 });
  step(`Pods wait for kubestick's network, and do not use that of ${others.join(", ")}`);
}

/** Starts the node agent as a service; `network` says who makes the pods' network. */
export async function startNodeAgent(node: Node, network: string | undefined, step: Say): Promise<void> {
  const { ui, files, ledger, services } = node;
  const foreign = network === FLAT ? winningCniConfig(files) : undefined;
  if (foreign)
    ui.warn(
      `pods get no addresses from kubestick while ${foreign} is there: it is another network's configuration and comes before ${CNI_CONFIG_FILE}; remove it if that network is gone`,
    );
  if (network === FLAT) ledger.claim(CNI_CONFIG_FILE);
  const changed = services.install(agentService(node.programs.self()));
  if (changed) ledger.noteService(AGENT_SERVICE);
  if (!changed && services.isActive(AGENT_SERVICE)) return;
  await services.start(AGENT_SERVICE, "the node agent", step);
}
