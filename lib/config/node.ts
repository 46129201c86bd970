import { isDnsSubdomain } from "../net/ip.ts";
import { checkArgs } from "./checks/component.ts";
import type { Report } from "./kind.ts";
import type { NodeRegistration } from "./kinds/fields.ts";
import type { Given } from "./schema.ts";

/** A node's name as Kubernetes has it: boards are called "Raspberry" (component-helpers node/util GetHostname). */
export const nodeName = (text: string): string => text.trim().toLowerCase();

/** A CRI socket as a URL: a bare path is one of the file system, as to kubeadm; `unix:/path` gets all its slashes. */
export function criSocketUrl(text: string): string {
  return text.startsWith("/") ? `unix://${text}` : text.replace(/^unix:\/(?!\/)/, "unix:///");
}

/** Brings what a configuration says of its node into the one form that the rest works with, in place; says what was changed. */
export function normalizeNode(node: Given<NodeRegistration> | undefined, warn: (message: string) => void): void {
  if (!node) return;
  if (node.name !== undefined) node.name = nodeName(node.name);
  if (node.criSocket === undefined) return;
  const url = criSocketUrl(node.criSocket);
  if (url !== node.criSocket)
    warn(`nodeRegistration.criSocket ${node.criSocket} is no URL, and is taken as ${url}; write it so`);
  node.criSocket = url;
}

/** Checks what a configuration says of its node. */
export function checkNode(node: Given<NodeRegistration> | undefined, report: Report): void {
  if (node?.name !== undefined && node.name !== "" && !isDnsSubdomain(node.name)) {
    report(
      "nodeRegistration.name",
      `${JSON.stringify(node.name)} must be a lower case host name (letters, digits, '-' and '.')`,
    );
  }
  if (node?.criSocket !== undefined && node.criSocket !== "" && !/^unix:\/\/\/[^\s]+$/.test(node.criSocket)) {
    const fix = "such as unix:///run/containerd/containerd.sock";
    report("nodeRegistration.criSocket", `${JSON.stringify(node.criSocket)} must be a unix:// address; ${fix}`);
  }
  for (const [i, { key }] of (node?.taints ?? []).entries()) {
    if (key === undefined) continue;
    const [name, prefix] = key.split("/").reverse();
    const bad =
      !/^[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/.test(name ?? "") || (prefix !== undefined && !isDnsSubdomain(prefix));
    if (bad)
      report(
        `nodeRegistration.taints[${i}].key`,
        `${JSON.stringify(key)} must be a label key such as example.com/role`,
      );
  }
  checkArgs(node?.kubeletExtraArgs, "nodeRegistration.kubeletExtraArgs", report);
}
