import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Agent, request } from "undici/index.js";
import { ApiClient } from "../api/client.ts";
import { ApiError, ConnectError } from "../api/errors.ts";
import { MINUTE } from "../constants/durations.ts";
import { CM_CLUSTER_INFO, JWS_KEY_PREFIX, NAMESPACE_PUBLIC } from "../constants/names.ts";
import { KubestickError } from "../host/errors.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { caPin } from "../pki/certificate.ts";
import { verifyDetached } from "./jws.ts";
import { verifiedTime } from "./server-time.ts";
import { splitToken } from "./token.ts";

const PATH = `/api/v1/namespaces/${NAMESPACE_PUBLIC}/configmaps/${CM_CLUSTER_INFO}`;
const MAX_BYTES = 1024 * 1024;
const PAUSE_MS = 1_000;
/** How long a cluster that answers may take to sign for a new token: kubestick does at once, the controller in a second or two. */
const SIGNING_MS = 20_000;

/** A cluster that was found and proven: where its API server is, and its CA in PEM. */
export interface DiscoveredCluster {
  server: string;
  ca: string;
}

/** What a joining node knows of the cluster. */
export interface TokenDiscovery {
  /** `host:port` of an API server. */
  endpoint: string;
  token: string;
  /** `sha256:<hex>` of the CA's public key; one must fit. */
  pins: string[];
  unsafeSkipCaVerification: boolean;
  timeoutMs: number;
  /**
   * Sets this host's clock to the proven control plane's when TLS cannot do with it; gives whether it did. Without it a
   * wrong clock is an error.
   */
  setClock?: (skew: ClockSkew) => boolean;
}

/** A clock that TLS cannot do with: the control plane's time, and since when the cluster's CA is valid. */
export interface ClockSkew {
  serverTime: Date;
  caNotBefore: Date;
}

/**
 * Finds a cluster by a token (kubeadm discovery/token): cluster-info is fetched without trust, its signature is checked
 * with the token and its CA with the pins, and then it is fetched again over the connection that this CA vouches for.
 * The token itself never leaves this host before that. Throws KubestickError, a different one for each thing that does
 * not fit; waits for an API server, or a signature, that is not there yet.
 */
export async function discoverByToken(options: TokenDiscovery): Promise<DiscoveredCluster> {
  const { endpoint, token, pins } = options;
  const { id, secret } = splitToken(token);
  let deadline = Date.now() + options.timeoutMs;
  let answered: number | undefined;
  for (;;) {
    try {
      const info = await fetchWithoutTrust(`https://${endpoint}${PATH}`);
      const signature = info[`${JWS_KEY_PREFIX}${id}`];
      if (signature === undefined) throw new NotSignedYet(endpoint, id);
      const text = info["kubeconfig"] ?? "";
      if (!verifyDetached(signature, text, id, secret)) {
        throw new KubestickError(
          `the cluster-info of ${endpoint} is not signed with this token: its secret is wrong, or this is not your cluster`,
          {
            hint: "get the join command again on a control plane: kubestick token create --print-join-command",
          },
        );
      }
      const published = readKubeconfig(text, `cluster-info of ${endpoint}`, () => undefined);
      if (!options.unsafeSkipCaVerification) checkPins(published.ca, pins, endpoint);
      await confirmInTime(options, published.ca, text);
      return { server: published.server, ca: published.ca };
    } catch (error) {
      // Whoever waits for an API server waits for as long as they said; an expired token does not come back.
      if (error instanceof NotSignedYet) {
        answered ??= Date.now();
        deadline = Math.min(deadline, answered + SIGNING_MS);
      }
      const waiting =
        error instanceof NotSignedYet ||
        (error instanceof ConnectError && !error.tls) ||
        (error instanceof ApiError && error.status >= 500);
      if (!waiting || Date.now() + PAUSE_MS >= deadline) throw error;
      await sleep(PAUSE_MS);
    }
  }
}

class NotSignedYet extends KubestickError {
  constructor(endpoint: string, id: string) {
    super(
      `the cluster at ${endpoint} does not know the token ${id}: it has expired, was deleted, or belongs to another cluster`,
      {
        hint: "make a new one on a control plane: kubestick token create --print-join-command",
      },
    );
  }
}

/** The pins that a CA bundle must fit: one of its certificates has one of the keys (RFC 7469 style, kubeadm pubkeypin). */
function checkPins(ca: string, pins: string[], endpoint: string): void {
  const certificates = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const found = certificates.map((pem) => caPin(new X509Certificate(pem)));
  if (found.some((pin) => pins.some((wanted) => wanted.toLowerCase() === pin))) return;
  throw new KubestickError(
    `the CA of ${endpoint} is not the one that was pinned: it is ${found.join(", ") || "missing"}`,
    {
      hint: "do not go on if somebody else can be on this network; compare with the control plane's: kubestick token create --print-join-command",
    },
  );
}

/** Confirms; a wrong clock is set right where that is allowed, since nothing has been signed yet, and explained elsewhere. */
async function confirmInTime(options: TokenDiscovery, ca: string, text: string): Promise<void> {
  try {
    await confirm(options.endpoint, ca, text);
  } catch (error) {
    if (!isClockError(error)) throw error;
    const serverTime = await verifiedTime(options.endpoint, ca);
    const caNotBefore = new X509Certificate(ca).validFromDate;
    if (!options.setClock?.({ serverTime, caNotBefore })) throw explainClock(error, serverTime);
    await confirm(options.endpoint, ca, text);
  }
}

/** Asks again, now trusting only the proven CA: a man in the middle that merely passed cluster-info on is found out. */
async function confirm(endpoint: string, ca: string, expected: string): Promise<void> {
  const client = new ApiClient({ server: `https://${endpoint}`, ca });
  try {
    const { data } = JSON.parse(await client.text(PATH)) as { data?: Record<string, string> };
    if (data?.["kubeconfig"] === expected) return;
    throw new KubestickError(`${endpoint} gave another cluster-info over the verified connection than before it`, {
      hint: "somebody may sit between this node and the control plane; look at the network, then run the same command again",
    });
  } finally {
    await client.close();
  }
}

function isClockError(error: unknown): error is ConnectError {
  return error instanceof ConnectError && /NOT_YET_VALID|HAS_EXPIRED|not yet valid|has expired/i.test(error.message);
}

/** A board without a battery clock lives in the past, and takes every certificate for one of the future. */
function explainClock(error: unknown, serverTime: Date): KubestickError {
  const now = new Date();
  const agree = Math.abs(serverTime.getTime() - now.getTime()) < MINUTE;
  return new KubestickError(
    agree
      ? `the control plane's certificate is not valid now (${now.toISOString()}), and both clocks agree`
      : `this host's clock says ${now.toISOString()}, and the control plane's ${serverTime.toISOString()}: certificates are not valid at this host's time`,
    {
      hint: agree
        ? "it has expired; on the control plane: kubeadm certs renew all"
        : "run the same command again with --sync-time, which sets this host's clock to the control plane's",
      cause: error,
    },
  );
}

async function fetchWithoutTrust(url: string): Promise<Record<string, string>> {
  const agent = new Agent({ connect: { rejectUnauthorized: false, timeout: 5_000 } });
  const what = "look for the cluster";
  try {
    const response = await request(url, { dispatcher: agent, headersTimeout: 5_000, bodyTimeout: 5_000 });
    let text = "";
    for await (const chunk of response.body) {
      text += (chunk as Buffer).toString("utf8");
      if (text.length > MAX_BYTES) throw new RangeError("the answer is too large");
    }
    if (response.statusCode !== 200)
      throw new ApiError(
        what,
        response.statusCode,
        "cluster-info cannot be read there; is this a Kubernetes API server?",
      );
    const data = (JSON.parse(text) as { data?: unknown }).data;
    return data !== null && typeof data === "object" ? (data as Record<string, string>) : {};
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ConnectError(what, new URL(url).origin, error);
  } finally {
    await agent.destroy();
  }
}
