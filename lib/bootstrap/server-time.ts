import type { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { peerChain } from "../api/tls.ts";
import { KubestickError, reason } from "../errors.ts";
import { splitHostPort } from "../net/ip.ts";
import { OID } from "../pki/asn1.ts";
import { chainFault } from "../pki/chain.ts";
import { isFor } from "../pki/names.ts";
import { readCertificates } from "../pki/pem.ts";
import { within } from "../util/within.ts";

const MAX_HEADER_BYTES = 64 * 1024;

/** The time of a proven API server, its certificate, and the CA that this comes from. */
export interface ShownTime {
  time: Date;
  leaf: X509Certificate;
  authority: X509Certificate;
}

/**
 * The time of an API server whose identity is proven, for a host whose own clock is too wrong for TLS. The handshake
 * proves that the server holds the key of the certificate that it shows; that certificate must be signed by one of these
 * CAs (PEM) itself, as a server's for this address, and only dates are not looked at. The time is that of the answer's
 * Date header (RFC 9110 §6.6.1), to the second. Throws KubestickError when the server is not the one it should be.
 */
export async function verifiedTime(endpoint: string, ca: string, timeoutMs: number): Promise<ShownTime> {
  const { host, port = 443 } = splitHostPort(endpoint)!;
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: "TLSv1.2" });
  try {
    return await within(timeoutMs, async () => {
      await handshake(socket);
      const [leaf] = peerChain(socket);
      const authority = leaf && authorityOf(leaf, host, readCertificates(ca, `the CA of ${endpoint}`));
      if (!leaf || !authority)
        throw new KubestickError(`${endpoint} is not the server it should be: its certificate is not the cluster's`, {
          hint: "somebody may sit between this node and the control plane; look at the network, then run the same command again",
        });
      const date = /^date:\s*(.+?)\r?$/im.exec(await ask(socket, host))?.[1];
      const time = new Date(date ?? "");
      if (!Number.isNaN(time.getTime())) return { time, leaf, authority };
      throw new KubestickError(`${endpoint} does not tell the time`, {
        hint: "set this host's clock by hand: date -u -s TIME",
      });
    });
  } catch (error) {
    if (error instanceof KubestickError) throw error;
    throw new KubestickError(`cannot ask ${endpoint} for the time: ${reason(error)}`, { cause: error });
  } finally {
    socket.destroy();
  }
}

/** The CA that has signed a certificate for a server of this name; undefined when none has, or it is for another use. */
function authorityOf(leaf: X509Certificate, host: string, authorities: X509Certificate[]): X509Certificate | undefined {
  const usages = leaf.keyUsage ?? [];
  if (!isFor(leaf, host) || (usages.length > 0 && !usages.includes(OID.serverAuth))) return undefined;
  return authorities.find((authority) => chainFault(leaf, [], [authority]) === undefined);
}

function handshake(socket: TLSSocket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("secureConnect", resolve);
    // It stays: what fails later is the time-out's affair.
    socket.on("error", reject);
  });
}

/** The head of the answer to a question that carries no secret. */
function ask(socket: TLSSocket, host: string): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n") || text.length > MAX_HEADER_BYTES) resolve(text);
    });
    socket.once("close", () => resolve(text));
    socket.write(`GET /version HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  });
}
