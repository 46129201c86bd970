import { TAINT_UNREACHABLE } from "../constants/network.ts";

/** What a Node says of itself. A kubelet registers its Node with whatever it likes, so none of it is believed as it stands. */
export interface NodeClaim {
  name: string;
  /** Both are set by the API server, and cannot be changed. */
  uid: string;
  created: string;
  /** The order in which this node heard of those that were created in the same second; see Claims. */
  heard: number;
  /** Whether the control plane has lost contact with it. */
  unreachable: boolean;
  /** Networks of its pods. */
  podCidrs: string[];
  /** Addresses that other nodes reach it by. */
  addresses: string[];
  /** How many more networks and addresses it names than are kept here. */
  more: number;
}

/** An honest Node has one of each IP family; more are looked at so that they can be named, but not without end. */
const MAX_CLAIMS = 8;
const MAX_TEXT = 64;

/** At most MAX_CLAIMS texts, cut where they are longer than any address: thousands of nodes are kept in memory. */
const texts = (values: unknown[]) =>
  values
    .filter((value) => typeof value === "string")
    .slice(0, MAX_CLAIMS)
    .map((value) => value.slice(0, MAX_TEXT));

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Reads a Node object that was heard of as the given one; what is missing, or of another type, is empty. */
export function claimOf(
  node: {
    metadata: { name: string; uid?: unknown; creationTimestamp?: unknown };
    spec?: unknown;
    status?: unknown;
  },
  heard = 0,
): NodeClaim {
  const { podCIDR, podCIDRs, taints } = (node.spec ?? {}) as Record<string, unknown>;
  const { addresses } = (node.status ?? {}) as Record<string, unknown>;
  const { name, uid, creationTimestamp } = node.metadata;
  const internal = list(addresses).filter((a) => (a as { type?: unknown } | null)?.type === "InternalIP");
  const networks = Array.isArray(podCIDRs) ? podCIDRs : [podCIDR];
  return {
    name,
    uid: String(uid ?? ""),
    // Nobody gains by having none.
    created: String(creationTimestamp ?? "9999"),
    heard,
    unreachable: list(taints).some((t) => (t as { key?: unknown } | null)?.key === TAINT_UNREACHABLE),
    podCidrs: texts(networks),
    addresses: texts(internal.map((a) => (a as { address?: unknown }).address)),
    more: [networks, internal].reduce((sum, { length }) => sum + Math.max(0, length - MAX_CLAIMS), 0),
  };
}

/**
 * The claims of all Nodes, with the order in which they were heard of: what a watch tells comes in the order in which it
 * happened, what a list tells at once counts as one moment, since its order is that of names, which can be chosen.
 */
export class Claims {
  readonly #claims = new Map<string, NodeClaim>();
  #moment = 0;

  /** Takes in everything there is; what is not among it is gone. */
  replaceAll(nodes: Parameters<typeof claimOf>[0][]): void {
    const moment = ++this.#moment;
    const fresh = nodes.map((node) => this.#read(node, moment));
    this.#claims.clear();
    for (const claim of fresh) this.#claims.set(claim.name, claim);
  }

  /** Takes in one that is new, or has changed; gives whether anything changed that is looked at here. */
  set(node: Parameters<typeof claimOf>[0]): boolean {
    const [known, claim] = [this.get(node.metadata.name), this.#read(node, ++this.#moment)];
    this.#claims.set(claim.name, claim);
    return JSON.stringify(known) !== JSON.stringify(claim);
  }

  delete(name: string): void {
    this.#claims.delete(name);
  }

  get(name: string): NodeClaim | undefined {
    return this.#claims.get(name);
  }

  values(): NodeClaim[] {
    return [...this.#claims.values()];
  }

  #read(node: Parameters<typeof claimOf>[0], moment: number): NodeClaim {
    const known = this.#claims.get(node.metadata.name);
    const claim = claimOf(node, moment);
    return known?.uid === claim.uid ? { ...claim, heard: known.heard } : claim;
  }
}
