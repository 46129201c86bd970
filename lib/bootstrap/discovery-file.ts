import { request } from "undici/index.js";
import { ApiClient } from "../api/client.ts";
import { isRefusal } from "../api/retry.ts";
import { KubestickError, reason, UsageError } from "../errors.ts";
import { readPlainText } from "../host/plain-file.ts";
import { within } from "../host/within.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { readBody } from "../net/body.ts";
import { type Environment, environmentAgent } from "../net/proxy.ts";
import type { DiscoveredCluster } from "./discovery.ts";

/** What a discovery file gives a node to ask for its certificate with. */
export type DiscoveryCredentials = { token: string } | { certificate: string; key: string };

/** A discovery file holds one cluster. */
const MAX_BYTES = 1024 * 1024;

/**
 * Finds a cluster by a kubeconfig, out of a file or from an https URL (kubeadm discovery/file and discovery/https): the
 * file itself is trusted, and so its CA; the server must then show a certificate of that CA, and is waited for. A proxy to
 * the URL is taken from `environment`. Throws
 * KubestickError, and UsageError for a URL that is not https: anybody on the way could put another cluster in.
 */
export async function discoverByFile(
  source: string,
  timeoutMs: number,
  environment: Environment = {},
): Promise<DiscoveredCluster & { client?: DiscoveryCredentials }> {
  const deadline = Date.now() + timeoutMs;
  const text = /^[a-z]+:/i.test(source) ? await fetchFile(source, timeoutMs, environment) : readLocal(source);
  const found = readKubeconfig(text, source, (path) => {
    // A file from elsewhere has no say over which of this host's files are read.
    throw new KubestickError(`${source} names the file ${path}; its certificates must be in it`, {
      hint: "make it self-contained: kubectl config view --raw --flatten",
    });
  });
  const { server, ca, token, clientCertificate, clientKey } = found;
  if (found.tlsServerName)
    throw new KubestickError(`${source} has a tls-server-name, which the kubelet's own kubeconfig would not have`, {
      hint: "name the server by a name that its certificate has, and leave tls-server-name out",
    });
  const probe = new ApiClient({ server, ca }, { callTimeoutMs: Math.max(1, deadline - Date.now()) });
  try {
    await probe.call("GET", "/version", { what: "look for the cluster" }).catch((error: unknown) => {
      // That anonymous may not ask is an answer too: the connection is the CA's.
      if (!isRefusal(error)) throw error;
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
    return readPlainText(path, MAX_BYTES);
  } catch (error) {
    throw new UsageError(`cannot read the discovery file ${path}: ${reason(error)}`, "check --discovery-file");
  }
}

async function fetchFile(url: string, timeoutMs: number, environment: Environment): Promise<string> {
  if (!URL.canParse(url) || new URL(url).protocol !== "https:")
    throw new UsageError(
      `the discovery file ${url} is not had over https, so anybody on the way could change it`,
      "give an https URL, or a file",
    );
  const dispatcher = environmentAgent({}, environment);
  try {
    return await within(timeoutMs, async (signal) => {
      const { statusCode, body } = await request(url, { dispatcher, signal });
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      return (await readBody(body, MAX_BYTES)).toString("utf8");
    });
  } catch (error) {
    if (error instanceof KubestickError) throw error;
    throw new KubestickError(`cannot get the discovery file ${url}: ${reason(error)}`, {
      hint: "check the address, and that its certificate is one this host trusts",
    });
  } finally {
    await dispatcher.destroy();
  }
}
