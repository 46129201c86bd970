import { X509Certificate } from "node:crypto";
import { connect, type TLSSocket } from "node:tls";
import { KubestickError, reason } from "../host/errors.ts";
import { splitHostPort } from "../host/net.ts";

const TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * The time of an API server whose identity is proven, for a host whose own clock is too wrong for TLS. The handshake
 * proves that the server holds the key of the certificate that it shows; that certificate must come from one of these
 * CAs (PEM) and be for this address, and only its dates are not looked at. The time is that of the answer's Date header
 * (RFC 9110 §6.6.1), to the second. Throws KubestickError when the server is not the one it should be.
 */
export async function verifiedTime(endpoint: string, ca: string): Promise<Date> {
  const { host, port } = splitHostPort(endpoint)!;
  const socket = await handshake(host, port ?? 443);
  try {
    const leaf = new X509Certificate(socket.getPeerCertificate(true).raw);
    const authorities = ca.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
    const issued = authorities.some((pem) => {
      const authority = new X509Certificate(pem);
      return leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
    });
    if (!issued || !(leaf.checkHost(host) ?? leaf.checkIP(host)))
      throw new KubestickError(`${endpoint} is not the server it should be: its certificate is not the cluster's`, {
        hint: "somebody may sit between this node and the control plane; look at the network, then run the same command again",
      });
    const date = /^date:\s*(.+?)\r?$/im.exec(await ask(socket, host))?.[1];
    const time = new Date(date ?? "");
    if (!Number.isNaN(time.getTime())) return time;
    throw new KubestickError(`${endpoint} does not tell the time`);
  } finally {
    socket.destroy();
  }
}

function handshake(host: string, port: number): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) => {
      socket.destroy();
      reject(new KubestickError(`cannot ask ${host}:${port} for the time: ${why}`));
    };
    const socket = connect({ host, port, rejectUnauthorized: false }, () => resolve(socket));
    socket.once("error", (error) => fail(reason(error)));
    socket.setTimeout(TIMEOUT_MS, () => fail("no answer"));
  });
}

/** The head of the answer to a question that carries no secret. */
function ask(socket: TLSSocket, host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (text.includes("\r\n\r\n") || text.length > MAX_HEADER_BYTES) resolve(text);
    });
    socket.once("close", () => resolve(text));
    socket.once("error", reject);
    socket.write(`GET /version HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  });
}
