import { DryRunCluster } from "../api/cluster.ts";
import type { KubeObject } from "../api/resources.ts";
import type { Bundle } from "../bundle/bundle.ts";
import type { HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { serviceManager } from "../services/manager.ts";
import type { Ui } from "../ui/ui.ts";
import { DryEtcd, Etcd } from "./etcd.ts";
import { dryKernel, type Kernel, realKernel } from "./kernel.ts";
import { dryPrograms, type Programs, realPrograms } from "./programs.ts";
import { dryRemover, type Remover, realRemover } from "./removal.ts";
import { DryRuntime, Runtime } from "./runtime.ts";
import { dryServices, realServices, type Services } from "./services.ts";
import { dryWaiting, realWaiting, type Waiting } from "./waiting.ts";

/** All that a run does to its host and cluster besides files and API objects: really, or in a dry run in words alone. */
export interface Edges {
  services: Services;
  cri: Runtime;
  kernel: Kernel;
  programs: Programs;
  remover: Remover;
  waiting: Waiting;
  /** What a run says of itself at its end. */
  outcome: (done: string, dry: string) => string;
  /** Takes down what would be written to a cluster, which has `there` by itself; undefined where it is written. */
  notes: (there: KubeObject[]) => DryRunCluster | undefined;
  /** Opens a cluster of etcd by its members' client URLs. */
  etcd: (...connection: ConstructorParameters<typeof Etcd>) => Etcd;
}

/** The host that the edges belong to. */
export interface EdgeHost {
  facts: HostFacts;
  files: Files;
  ui: Ui;
  criSocket: string;
  /** What would set the container runtime up; undefined where it is there. */
  bundle?: Bundle;
}

/** Those that do it. */
export const realEdges = ({ facts, files, criSocket }: EdgeHost): Edges => ({
  services: realServices(serviceManager(facts.serviceManager, files)),
  cri: new Runtime(criSocket),
  kernel: realKernel(files),
  programs: realPrograms(files),
  remover: realRemover,
  waiting: realWaiting,
  outcome: (done) => done,
  notes: () => undefined,
  etcd: (...connection) => new Etcd(...connection),
});

/** Those that say what they would do. */
export const dryEdges = ({ facts, files, ui, criSocket, bundle }: EdgeHost): Edges => ({
  services: dryServices(serviceManager(facts.serviceManager, files)),
  cri: new DryRuntime(criSocket, facts, bundle, (text) => ui.warn(text)),
  kernel: dryKernel,
  programs: dryPrograms,
  remover: dryRemover((path) => files.exists(path)),
  waiting: dryWaiting,
  outcome: (_, dry) => dry,
  notes: (there) => new DryRunCluster(there),
  etcd: (...connection) => new DryEtcd(...connection),
});
