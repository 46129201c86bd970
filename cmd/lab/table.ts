import type { NodeState } from "../../lib/lab/status.ts";
import { formatTable } from "../../lib/ui/table.ts";

/** A lab's nodes as a table. */
export function nodeTable(nodes: NodeState[]): string {
  const state = ({ running, ready }: NodeState) =>
    !running ? "stopped" : ready === undefined ? "not in the cluster" : ready ? "Ready" : "NotReady";
  return formatTable([
    ["NAME", "ADDRESS", "ROLE", "STATE", "VERSION"],
    ...nodes.map((node) => [node.name, node.ip, node.role, state(node), node.version ?? "-"]),
  ]);
}
