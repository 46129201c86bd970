import { Agent, request } from "undici/index.js";
import { failureOf, objectOf } from "../api/answer.ts";
import { ApiClient } from "../api/client.ts";
import { AnswerError, ApiError, ConnectError } from "../api/errors.ts";
import { mapOf } from "../api/fields.ts";
import { isTransient } from "../api/retry.ts";
import { CLUSTER_INFO_PATH, readSignedInfo } from "../cluster/info.ts";
import { splitToken } from "../cluster/tokens.ts";
import { CM_CLUSTER_INFO } from "../constants/names.ts";
import { KubestickError } from "../errors.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { readBody } from "../net/body.ts";
import { caPin, certificatePem } from "../pki/certificate.ts";
import { readCertificates } from "../pki/pem.ts";
import { PROCESS_CLOCK, untilItWorks } from "../util/until.ts";
import { within } from "../util/within.ts";
import { explainClock, mends } from "./clock-fault.ts";
import { verifiedTime } from "./server-time.ts";

const WHAT = "look for the cluster";
/** A cluster-info is a few kilobytes. */
const MAX_BYTES = 1024 * 1024;
const PAUSE_MS = 1_000;
const ATTEMPT_MS = 10_000;
/** How long a cluster that answers may take to sign for a new token: kubestick does at once, the controller in a second or two. */
const SIGNING_MS = 20_000;

/** A cluster that was found and proven: where its API server is, and its CAs in PEM. */
export interface DiscoveredCluster {
  server: string;
  ca: string;
}

/** What a joining node knows of the cluster. */
export interface TokenDiscovery {
  /** `host:port` of an API server. */
  endpoint: string;
  token: string;
  /** `sha256:<hex>` of the CA's public key. Of the CAs that the cluster shows, those that fit one are believed, and no others. */
  pins: string[];
  unsafeSkipCaVerification: boolean;
  /** For the whole of it, however slowly a server answers. */
  timeoutMs: number;
  /** Told why it has to wait, each time that the reason changes. */
  waiting?: (why: string) => void;
  /**
   * Sets this host's clock to the proven control plane's when it is too wrong for TLS; gives whether it did. Without it a
   * wrong clock is an error.
   */
  setClock?: (skew: ClockSkew) => boolean;
}

/** A clock that is too wrong for TLS: the control plane's time, and since when the cluster's CA is valid. */
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
  const { timeoutMs, waiting } = options;
  let unsettled: KubestickError | undefined;
  let signedBy = Number.POSITIVE_INFINITY;
  let told = "";
  try {
    return await untilItWorks((remainingMs) => discoverOnce(options, Math.min(ATTEMPT_MS, remainingMs)), {
      limitMs: timeoutMs,
      pauseMs: PAUSE_MS,
      passes: (error) => {
        // A cluster that has just been made shows its cluster-info, and signs it, a moment after its API server answers.
        const settling = (error instanceof NotShown && error.passing) || error instanceof NotSignedYet;
        if (settling && !unsettled) signedBy = PROCESS_CLOCK.now() + SIGNING_MS;
        if (settling) unsettled = error;
        return (settling || isTransient(error)) && PROCESS_CLOCK.now() < signedBy;
      },
      waiting: (error) => {
        const why = (error as KubestickError).message;
        if (why !== told) waiting?.(why);
        told = why;
      },
    });
  } catch (error) {
    // The last moment before the deadline is too short for an answer, and its error would say less.
    throw isTransient(error) ? (unsettled ?? error) : error;
  }
}

async function discoverOnce(options: TokenDiscovery, limitMs: number): Promise<DiscoveredCluster> {
  const { endpoint } = options;
  const { text, server, ca } = verified(options, await fetchWithoutTrust(`https://${endpoint}`, limitMs));
  try {
    await confirm(endpoint, ca, text, limitMs);
  } catch (error) {
    if (!(error instanceof ConnectError && error.failure === "clock")) throw error;
    // A wrong clock is set right where that is allowed, since nothing has been signed yet, and explained elsewhere.
    const shown = await verifiedTime(endpoint, ca, limitMs);
    const skew = { serverTime: shown.time, caNotBefore: shown.authority.validFromDate };
    if (!mends(shown) || !options.setClock?.(skew)) throw explainClock(error, shown);
    await confirm(endpoint, ca, text, limitMs);
  }
  return { server, ca };
}

class NotSignedYet extends KubestickError {
  constructor(endpoint: string, id: string) {
    super(
      `the cluster at ${endpoint} does not know the token ${id}: it has expired, was deleted, or belongs to another cluster`,
      {
        code: "token",
        hint: "make a new one on a control plane: kubestick token create --print-join-command",
      },
    );
  }
}

/** 401, 403 and 404: a cluster need not show cluster-info to those who have no credentials yet. */
class NotShown extends KubestickError {
  /** Whether it may be only that the cluster is still being made: 401 is how an API server is configured. */
  readonly passing: boolean;

  constructor(endpoint: string, status: number) {
    super(
      status === 404
        ? `the API server at ${endpoint} has no ${CM_CLUSTER_INFO} for those who join (404)`
        : `the cluster at ${endpoint} does not show its ${CM_CLUSTER_INFO} to strangers (${status}), so that it cannot be found with a token alone`,
      {
        code: "token",
        hint: `join with a file: copy a kubeconfig of the cluster here, and give --discovery-file FILE --tls-bootstrap-token TOKEN; or on a control plane: kubestick init phase bootstrap-token${status === 401 ? ", with anonymous-auth not false" : ""}`,
      },
    );
    this.passing = status !== 401;
  }
}

/** What a cluster-info says, once its signature and its CA are those that the options ask for. */
function verified(options: TokenDiscovery, data: Record<string, unknown>): DiscoveredCluster & { text: string } {
  const { endpoint, token, pins } = options;
  const parts = splitToken(token);
  const info = readSignedInfo(data, parts);
  if (info.state === "damaged")
    throw new AnswerError(WHAT, `https://${endpoint}`, `${info.key} in its ${CM_CLUSTER_INFO} is not a text`);
  if (info.state === "unsigned") throw new NotSignedYet(endpoint, parts.id);
  if (info.state === "forged")
    throw new KubestickError(
      `the cluster-info of ${endpoint} is not signed with this token: its secret is wrong, or this is not your cluster`,
      {
        code: "token",
        hint: "get the join command again on a control plane: kubestick token create --print-join-command",
      },
    );
  const text = info.kubeconfig;
  const { server, ca } = readKubeconfig(text, `the cluster-info of ${endpoint}`, () => undefined);
  return { server, ca: options.unsafeSkipCaVerification ? ca : pinned(ca, pins, endpoint), text };
}

/**
 * The pinned ones of a cluster's CAs (RFC 7469 style, kubeadm pubkeypin). The others are left out: whoever knows a token
 * can sign a cluster-info, and would add a CA of their own.
 */
function pinned(ca: string, pins: string[], endpoint: string): string {
  const wanted = new Set(pins.map((pin) => pin.toLowerCase()));
  const certificates = readCertificates(ca, `the CA of ${endpoint}`);
  const believed = certificates.filter((certificate) => wanted.has(caPin(certificate)));
  if (believed.length > 0) return believed.map(certificatePem).join("");
  throw new KubestickError(
    `the CA of ${endpoint} is not the one that was pinned: it is ${certificates.map(caPin).slice(0, 5).join(", ")}`,
    {
      code: "api-identity",
      hint: "do not go on if somebody else can be on this network; compare with the control plane's: kubestick token create --print-join-command",
    },
  );
}

/** Asks again, now trusting only the proven CA: a man in the middle that merely passed cluster-info on is found out. */
async function confirm(endpoint: string, ca: string, expected: string, limitMs: number): Promise<void> {
  const client = new ApiClient({ server: `https://${endpoint}`, ca }, { callTimeoutMs: limitMs });
  try {
    const { data } = await client.call<{ data?: unknown }>("GET", CLUSTER_INFO_PATH, { what: WHAT, limit: MAX_BYTES });
    if (mapOf(data)?.["kubeconfig"] === expected) return;
    throw new KubestickError(`${endpoint} gave another cluster-info over the verified connection than before it`, {
      code: "api-identity",
      hint: "somebody may sit between this node and the control plane; look at the network, then run the same command again",
    });
  } finally {
    await client.close();
  }
}

/** The data of cluster-info, from whoever answers. Throws NotShown, ApiError, AnswerError or ConnectError. */
async function fetchWithoutTrust(server: string, limitMs: number): Promise<Record<string, unknown>> {
  const agent = new Agent({ allowH2: false, connect: { rejectUnauthorized: false, timeout: 5_000 } });
  try {
    return await within(limitMs, async (signal) => {
      const { statusCode, headers, body } = await request(`${server}${CLUSTER_INFO_PATH}`, {
        dispatcher: agent,
        signal,
      });
      if ([401, 403, 404].includes(statusCode)) throw new NotShown(server.slice("https://".length), statusCode);
      if (statusCode !== 200) throw new ApiError(WHAT, statusCode, "");
      const answer = { data: await readBody(body, MAX_BYTES), type: String(headers["content-type"] ?? "") };
      const data = mapOf(objectOf(answer, WHAT, server)["data"]);
      if (data) return data;
      throw new AnswerError(WHAT, server, `what it sends is no ${CM_CLUSTER_INFO}`);
    });
  } catch (error) {
    throw failureOf(WHAT, server, error);
  } finally {
    await agent.destroy();
  }
}
