import { type Decision, planBinaries } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import type { HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { Ledger } from "../host/ledger.ts";
import { type Patch, readPatches } from "../manifests/patches.ts";
import type { Environment } from "../net/proxy.ts";
import type { Ui } from "../ui/ui.ts";
import { dryEdges, type Edges, realEdges } from "./edges.ts";

/** A host with all that is read of it and done to it; a dry run has the same with other edges. */
export interface Host extends Edges {
  facts: HostFacts;
  files: Files;
  ledger: Ledger;
  ui: Ui;
  criSocket: string;
}

/** A host that becomes a node, or is one. */
export interface Node extends Host {
  /** Its name in the cluster. */
  name: string;
  /** What it is installed from; undefined where it is only set up. */
  bundle: Bundle | undefined;
  /** Which Kubernetes its host binaries must go with. */
  kubernetesVersion: string;
  /** The IP families of the cluster's networks, as far as they are known. */
  families: (4 | 6)[];
  options: {
    /** Replace programs and files that are newer or somebody else's. */
    force: boolean;
    /** Where containerd has a registry's images instead, by host; `*` for every one. */
    registryMirrors: Map<string, string>;
  };
  /** The variables of whoever sets this node up, for what must know of a proxy. */
  environment: Environment;
  /** The user's patches, read once; none where no directory was given. Throws UsageError as readPatches. */
  patches(): Patch[];
  /** What is to be done about this host's programs, as it was before anything was done. */
  decisions(): Decision[];
}

/** What a host is made of. */
export interface HostOptions extends Pick<Host, "facts" | "files" | "ui" | "criSocket"> {
  /** Whether everything is only said. */
  dryRun: boolean;
}

/** Makes a host of what is known of it. This is where a run gets its edges. */
export function openHost({ dryRun, ...host }: HostOptions & { bundle?: Bundle }): Host {
  return { ...host, ...(dryRun ? dryEdges : realEdges)(host), ledger: new Ledger(host.files) };
}

/** What a node is made of. */
export interface NodeOptions
  extends HostOptions,
    Pick<Node, "name" | "bundle" | "kubernetesVersion" | "families" | "environment"> {
  force?: boolean;
  registryMirrors?: Map<string, string>;
  /** The user's directory of patches, on this machine. */
  patchesDirectory?: string;
}

/** Makes a node of what is known of it. */
export function openNode(options: NodeOptions): Node {
  const { dryRun, force = false, registryMirrors = new Map(), patchesDirectory, ...node } = options;
  const { bundle, ui, facts, files, criSocket, kubernetesVersion } = node;
  let patches: Patch[] | undefined;
  let decisions: Decision[] | undefined;
  return {
    ...node,
    ...openHost({ dryRun, facts, files, ui, criSocket, bundle }),
    options: { force, registryMirrors },
    patches: () => {
      patches ??= userPatches(patchesDirectory, ui);
      return patches;
    },
    decisions: () => {
      decisions ??= bundle ? planBinaries(bundle, { arch: facts.arch, force, files, kubernetesVersion }) : [];
      return decisions;
    },
  };
}

/** How many unused files are named one by one. */
const NAMED = 20;

/** The patches of the directory that a user named; files in it that are none are told. */
function userPatches(directory: string | undefined, ui: Ui): Patch[] {
  if (!directory) return [];
  const { patches, ignored } = readPatches(directory);
  for (const line of ignored.slice(0, NAMED)) ui.warn(line);
  if (ignored.length > NAMED) ui.warn(`Ignoring ${ignored.length - NAMED} more files in ${directory}`);
  if (patches.length === 0) ui.warn(`there is no patch in ${directory}`);
  return patches;
}
