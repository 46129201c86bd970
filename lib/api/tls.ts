import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { buildConnector } from "undici/index.js";
import { errno } from "../errors.ts";
import { buildConnector as connectorOf } from "../net/undici.ts";
import { certificatePem } from "../pki/certificate.ts";
import { chainFault } from "../pki/chain.ts";
import { isFor } from "../pki/names.ts";
import { readCertificates } from "../pki/pem.ts";

/** Whom a connection of a cluster's is with, and as whom; PEM. */
export interface ClusterTls {
  /** The CAs that the server's certificate may come from. */
  ca: string;
  certificate?: string;
  key?: string;
  /** The name that the server's certificate must have, where that is not the address. */
  serverName?: string;
  /** How long it may take until the connection stands, in milliseconds. */
  timeoutMs: number;
}

/** How many certificates a server may send before the chain is taken for a bad one. */
const MAX_CHAIN = 10;

/**
 * Connects to a server of the cluster's (for undici's `connect`): over TLS 1.2 or later, with a certificate of one of its
 * CAs and of no other. A CA is trusted by itself, also where it is an intermediate one whose root is not there, as Go's
 * programs have it (X509_V_FLAG_PARTIAL_CHAIN); names, dates, usages and the CAs' constraints are checked by the runtime.
 * What Go refuses besides is refused here: weak keys and signatures, CAs that are none, and a name that stands in the
 * common name alone. Its errors carry the code ERR_TLS_CERT_WEAK or ERR_TLS_CERT_ALTNAME_INVALID then.
 */
export function clusterConnector({
  ca,
  certificate,
  key,
  serverName,
  timeoutMs,
}: ClusterTls): buildConnector.connector {
  const anchors = readCertificates(ca, "the cluster's CA");
  const connectors = namesakes(anchors).map((some) =>
    connectorOf({
      ca: some.map(certificatePem).join(""),
      cert: certificate,
      key,
      allowPartialTrustChain: true,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true,
      allowH2: false,
      // A session that is taken up again shows no chain.
      maxCachedSessions: 0,
      timeout: timeoutMs,
      ...(serverName ? { servername: serverName } : {}),
    }),
  );
  const connect = (options: buildConnector.Options, done: buildConnector.Callback, at = 0): void =>
    connectors[at]!(options, (error, socket) => {
      if (error && connectors[at + 1] && IDENTITY.test(errno(error) ?? "")) return connect(options, done, at + 1);
      if (error || !socket) return done(error as Error, null);
      const fault = serverFault(socket as TLSSocket, serverName ?? options.hostname, anchors);
      if (!fault) return done(null, socket);
      socket.destroy();
      done(fault, null);
    });
  return (options, done) => connect(options, done);
}

/** The runtime's codes for a certificate that it does not believe (X509_V_ERR_…). */
const IDENTITY = /^(CERT_|UNABLE_|SELF_SIGNED|DEPTH_ZERO|INVALID_|PATH_LENGTH|UNSPECIFIED|ERR_TLS_CERT)/;

/**
 * CAs in groups in which no two have one name: of such, as there are while a CA is changed for a new one, the runtime
 * looks at one only, and Go at each.
 */
function namesakes(anchors: X509Certificate[]): X509Certificate[][] {
  const groups: X509Certificate[][] = [];
  for (const anchor of anchors) {
    const group = groups.find((some) => some.every(({ subject }) => subject !== anchor.subject));
    if (group) group.push(anchor);
    else groups.push([anchor]);
  }
  return groups;
}

function serverFault(socket: TLSSocket, name: string, anchors: X509Certificate[]): Error | undefined {
  const [leaf, ...others] = peerChain(socket);
  if (!leaf) return coded("ERR_TLS_CERT_WEAK", "the server shows no certificate");
  if (!isFor(leaf, name))
    return coded(
      "ERR_TLS_CERT_ALTNAME_INVALID",
      `the server's certificate has no name ${name} among its alternative names`,
    );
  const fault = chainFault(leaf, others, anchors);
  return fault === undefined
    ? undefined
    : coded("ERR_TLS_CERT_WEAK", `the server's certificate is not to be believed: ${fault}`);
}

/** The certificates that a server has shown, its own first. */
export function peerChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  for (let at = socket.getPeerX509Certificate(); at && chain.length < MAX_CHAIN; at = at.issuerCertificate) {
    if (chain.some((known) => known.raw.equals(at!.raw))) break;
    chain.push(at);
  }
  return chain;
}

const coded = (code: string, message: string) => Object.assign(new Error(message), { code });
