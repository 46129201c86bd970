import { readFileSync } from "node:fs";
import { request } from "undici/index.js";
import { ApiClient } from "../api/client.ts";
import { KubestickError, reason, UsageError } from "../host/errors.ts";
import { proxyAgent } from "../host/proxy.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import type { DiscoveredCluster } from "./discovery.ts";

/** What a discovery file gives a node to ask for its certificate with. */
export type Credentials = { token: string } | { certificate: string; key: string };

const MAX_BYTES = 1024 * 1024;

/**
 * Finds a cluster by a kubeconfig, out of a file or from an https URL (kubeadm discovery/file and discovery/https): the
 * file itself is trusted, and so its CA; the server must then show a certificate of that CA. Throws KubestickError, and
 * UsageError for a URL that is not https: anybody on the way could put another cluster in.
 */
export async function discoverByFile(
  source: string,
  timeoutMs: number,
): Promise<DiscoveredCluster & { client?: Credentials }> {
  const text = /^[a-z]+:/i.test(source) ? await fetchFile(source, timeoutMs) : readLocal(source);
  const { server, ca, token, clientCertificate, clientKey } = readKubeconfig(text, source, (path) => {
    // A file from elsewhere has no say over which of this host's files are read.
    throw new KubestickError(`${source} names the file ${path}; its certificates must be in it`, {
      hint: "make it self-contained: kubectl config view --raw --flatten",
    });
  });
  const probe = new ApiClient({ server, ca }, { callTimeoutMs: timeoutMs });
  try {
    await probe.text("/version").catch((error: unknown) => {
      // That anonymous may not ask is an answer too: the connection is the CA's.
      const { status } = error as { status?: number };
      if (status !== 401 && status !== 403) throw error;
    });
  } finally {
    await probe.close();
  }
  if (token) return { server, ca, client: { token } };
  if (clientCertificate && clientKey) return { server, ca, client: { certificate: clientCertificate, key: clientKey } };
  return { server, ca };
}

function readLocal(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`cannot read the discovery file ${path}: ${reason(error)}`, "check --discovery-file");
  }
}

async function fetchFile(url: string, timeoutMs: number): Promise<string> {
  if (!URL.canParse(url) || new URL(url).protocol !== "https:")
    throw new UsageError(
      `the discovery file ${url} is not had over https, so anybody on the way could change it`,
      "give an https URL, or a file",
    );
  const dispatcher = proxyAgent();
  try {
    const response = await request(url, { dispatcher, headersTimeout: timeoutMs, bodyTimeout: timeoutMs });
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    let text = "";
    for await (const chunk of response.body) {
      text += (chunk as Buffer).toString("utf8");
      if (text.length > MAX_BYTES) throw new RangeError("it is too large");
    }
    return text;
  } catch (error) {
    throw new KubestickError(`cannot get the discovery file ${url}: ${reason(error)}`, {
      hint: "check the address, and that its certificate is one this host trusts",
    });
  } finally {
    await dispatcher.destroy();
  }
}
