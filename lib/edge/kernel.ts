import { existsSync } from "node:fs";
import { KubestickError } from "../errors.ts";
import { makeCgroupRoot, removeCgroupRoot } from "../host/cgroups.ts";
import { setClock } from "../host/clock.ts";
import { findProgram } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { loadModule, setSysctl } from "../host/kernel.ts";
import { tryRun } from "../host/process.ts";
import { removeFlatNetwork } from "../network/apply.ts";
import { cleanPacketFilter } from "../network/packet-filter.ts";
import { removeOwnRoutes } from "../network/routes.ts";
import { applyServiceRoutes, rememberServiceRanges, type ServiceRanges } from "../network/service-routes.ts";
import { type ChangedSysctl, restoreSysctls } from "../network/sysctls.ts";
import type { Say } from "../ui/ui.ts";

/** What a host's packet filter says of itself. */
export interface PacketFilter {
  /** Whether there is no nft on this host. */
  lacksNft?: true;
  /** Why nft does not take the rules that it was asked about; undefined where it does. */
  refusal?: string;
  /** The rules of the chain FORWARD where Docker is, as iptables -S prints them; else empty. */
  forward: string;
}

/** What phases change of the kernel's: modules, settings, cgroups, routes and the clock. */
export interface Kernel {
  /** Loads a module unless it is there; gives why it cannot. */
  loadModule(name: string): string | undefined;
  /** Sets a kernel setting by its name in sysctl(8); gives why it cannot. */
  setSysctl(name: string, value: string): string | undefined;
  /** Makes a kubelet's cgroup root in every hierarchy. */
  makeCgroupRoot(root: string, version: 1 | 2): void;
  /** Removes a kubelet's cgroup root, as far as no process is in it. */
  removeCgroupRoot(root: string, version: 1 | 2): void;
  /** Gives kernel settings their former values where they still have kubestick's and nobody else needs them. */
  restoreSysctls(sysctls: ChangedSysctl[], say: Say, warn: Say): void;
  /** Asks the packet filter whether it would take some rules, and changes nothing. */
  askPacketFilter(rules: string): PacketFilter;
  /** Takes kube-proxy's rules and kubestick's routes, tables and bridge off this host, all known by their marks. */
  removeNetwork(say: Say, warn: Say): void;
  /** Makes this host's routes to Services and keeps what they are made from; says what changed, and gives what could not. */
  routeServices(said: ServiceRanges, say: Say): string[];
  /** Sets the clock to the control plane's time and says so; gives whether it did. Throws KubestickError when it cannot. */
  setClock(time: Date, say: Say): boolean;
}

/** This host's kernel. `files` keeps what the routes are made from. */
export const realKernel = (files: Files): Kernel => ({
  loadModule,
  setSysctl,
  restoreSysctls,
  makeCgroupRoot,
  removeCgroupRoot,
  askPacketFilter(rules) {
    const nft = findProgram("nft");
    // Docker lets nothing be forwarded that it does not know.
    const iptables = existsSync("/sys/class/net/docker0") ? findProgram("iptables") : undefined;
    const forward = iptables ? tryRun(iptables, ["-S", "FORWARD"]).stdout : "";
    if (!nft) return { lacksNft: true, forward };
    const { status, stderr } = tryRun(nft, ["--check", "-f", "-"], 10_000, rules);
    return status === 0 ? { forward } : { refusal: stderr.trim().split("\n")[0] || "it says not why", forward };
  },
  removeNetwork(say, warn) {
    cleanPacketFilter(say, warn);
    const removed = [...removeOwnRoutes(), ...removeFlatNetwork()];
    if (removed.length > 0) say(`Removed from the network: ${removed.join(", ")}`);
  },
  routeServices(said, say) {
    const { changes, refusals } = applyServiceRoutes(files, rememberServiceRanges(files, said));
    for (const change of changes) say(`Routes to Services: ${change}`);
    return refusals;
  },
  setClock(time, say) {
    const now = new Date();
    const why = setClock(time);
    if (why) throw new KubestickError(`cannot set this host's clock to ${time.toISOString()}: ${why}`);
    say(`Set the clock ${fromTo(now, time)}, the control plane's`);
    return true;
  },
});

/** A kernel that takes everything and changes nothing. */
export const dryKernel: Kernel = {
  loadModule: () => undefined,
  setSysctl: () => undefined,
  restoreSysctls: () => undefined,
  makeCgroupRoot: () => undefined,
  removeCgroupRoot: () => undefined,
  askPacketFilter: () => ({ forward: "" }),
  removeNetwork: () => undefined,
  routeServices({ ranges }, say) {
    if (ranges.length > 0) say(`Would make routes to Services, ${ranges.join(" and ")}, where this host has none`);
    return [];
  },
  setClock(time, say) {
    say(`Would set the clock ${fromTo(new Date(), time)}`);
    return false;
  },
};

const fromTo = (now: Date, time: Date) => `from ${now.toISOString()} to ${time.toISOString()}`;
