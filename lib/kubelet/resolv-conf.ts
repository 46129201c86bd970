import type { ComponentConfig } from "../config/kind.ts";
import { HOST_RESOLV_CONF, KUBELET_CONFIG_FILE, OWN_RESOLV_CONF } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import {
  ownResolvConf,
  podNameservers,
  podResolvConf,
  type ResolvConf,
  readResolvConf,
  readResolvConfs,
} from "../host/resolv-conf.ts";
import { isPlain } from "../yaml/plain.ts";
import { readYaml } from "../yaml/read.ts";

/** The addresses of the cluster's DNS that a kubelet gives to pods. */
export function clusterDns(kubelet: ComponentConfig): string[] {
  const addresses = kubelet["clusterDNS"];
  return Array.isArray(addresses) ? addresses.map(String) : [];
}

/** Whom the cluster's DNS can forward to on a host, by the resolv.conf that its kubelet gives to pods. */
export interface Upstreams {
  path: string;
  nameservers: string[];
  /** Those that the file names and no pod reaches: the user chose the file. */
  lost: string[];
}

/** The nameservers that CoreDNS is given by a kubelet with this configuration. */
export function upstreams(confs: ResolvConf[], files: Files, kubelet: ComponentConfig): Upstreams {
  const own = clusterDns(kubelet);
  const path = String(kubelet["resolvConf"] ?? HOST_RESOLV_CONF);
  if (path === OWN_RESOLV_CONF)
    return { path: confs[0]!.path, nameservers: podResolvConf(confs, own).nameservers, lost: [] };
  // The kubelet gives pods their own loopback address then (dns.go, GetPodDNS).
  if (path === "") return { path: 'resolvConf: ""', nameservers: [], lost: [] };
  const conf = readResolvConf(files, path);
  const nameservers = podNameservers(conf, own);
  const lost = conf.nameservers.filter((name) => podNameservers({ ...conf, nameservers: [name] }, own).length === 0);
  return { path, nameservers, lost };
}

/**
 * Brings kubestick's own resolv.conf in line with the host's, which DHCP changes when a board is moved; the kubelet reads
 * it anew for each pod. Gives whether that changed it; does nothing where the kubelet reads another file.
 */
export function refreshResolvConf(files: Files): boolean {
  const config = readYaml(files.readText(KUBELET_CONFIG_FILE) ?? "");
  if (!isPlain(config) || config["resolvConf"] !== OWN_RESOLV_CONF) return false;
  const text = ownResolvConf(readResolvConfs(files), clusterDns(config));
  if (files.readText(OWN_RESOLV_CONF) === text) return false;
  files.write(OWN_RESOLV_CONF, text, { mode: 0o644 });
  return true;
}
