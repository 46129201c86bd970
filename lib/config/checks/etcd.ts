import { companionsOf } from "../companions.ts";
import type { Report } from "../kind.ts";
import type { ExternalEtcd, LocalEtcd } from "../kinds/control-plane.ts";
import { removedEtcdFlag } from "../removed-flags.ts";
import type { Given } from "../schema.ts";
import { checkAltNames } from "./addresses.ts";
import { checkArgs } from "./component.ts";
import { checkImageRepository, checkImageTag } from "./images.ts";
import { checkAbsolute } from "./values.ts";

/** Checks a cluster's etcd: its own, in the image that goes with the version, or somebody else's. */
export function checkEtcd(
  { local, external }: { local?: Given<LocalEtcd>; external?: Given<ExternalEtcd> } = {},
  kubernetesVersion: string,
  report: Report,
): void {
  if (local && external) report("etcd", "has both local and external; keep one");
  if (local) checkLocal(local, kubernetesVersion, report);
  if (external) checkExternal(external, report);
}

function checkLocal(local: Given<LocalEtcd>, kubernetesVersion: string, report: Report): void {
  checkImageRepository(local.imageRepository, "etcd.local.imageRepository", report);
  checkImageTag(local.imageTag, "etcd.local.imageTag", report);
  checkAbsolute(local.dataDir, "etcd.local.dataDir", report);
  checkArgs(local.extraArgs, "etcd.local.extraArgs", report);
  const tag = local.imageTag || companionsOf(kubernetesVersion).etcd;
  for (const [i, { name }] of (local.extraArgs ?? []).entries()) {
    const removed = name !== undefined && removedEtcdFlag(tag, name);
    if (removed) report(`etcd.local.extraArgs[${i}]`, removed);
  }
  checkAltNames(local.serverCertSANs, "etcd.local.serverCertSANs", report);
  checkAltNames(local.peerCertSANs, "etcd.local.peerCertSANs", report);
}

function checkExternal(external: Given<ExternalEtcd>, report: Report): void {
  const endpoints = external.endpoints ?? [];
  if (endpoints.length === 0) report("etcd.external.endpoints", "needs at least one URL");
  for (const [i, url] of endpoints.entries()) {
    const at = `etcd.external.endpoints[${i}]`;
    const scheme = /^(https?):\/\/[^/\s]+$/.exec(url)?.[1];
    if (!scheme) report(at, `${JSON.stringify(url)} must be a URL such as https://10.0.0.5:2379`);
    else if (scheme === "http" && external.caFile) report(at, "is http although a caFile is given; use https");
  }
  for (const name of ["caFile", "certFile", "keyFile"] as const)
    checkAbsolute(external[name], `etcd.external.${name}`, report);
  if (!external.certFile !== !external.keyFile) report("etcd.external", "needs certFile and keyFile together");
  if (external.certFile && !external.caFile) report("etcd.external", "needs caFile beside certFile and keyFile");
}
