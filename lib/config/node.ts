import type { NodeRegistration } from "./types.ts";

/** A node's name as Kubernetes has it: boards are called "Raspberry" (component-helpers node/util GetHostname). */
export const nodeName = (text: string): string => text.trim().toLowerCase();

/** A CRI socket as a URL: a bare path is one of the file system, as to kubeadm; `unix:/path` gets all its slashes. */
export function criSocketUrl(text: string): string {
  return text.startsWith("/") ? `unix://${text}` : text.replace(/^unix:\/(?!\/)/, "unix:///");
}

/** Brings what a configuration says of its node into the one form that the rest works with; says what was changed. */
export function normalizeNode(node: Partial<NodeRegistration> | undefined, warnings: string[]): void {
  if (!node) return;
  if (node.name !== undefined) node.name = nodeName(node.name);
  if (node.criSocket === undefined) return;
  const url = criSocketUrl(node.criSocket);
  if (url !== node.criSocket)
    warnings.push(`nodeRegistration.criSocket ${node.criSocket} is no URL, and is taken as ${url}; write it so`);
  node.criSocket = url;
}
