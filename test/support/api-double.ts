import type { ServerResponse } from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { newKeyPair, privateKeyPem } from "../../lib/pki/algorithms.ts";
import { type CertificateContent, certificatePem, type Issuer, newCertificate } from "../../lib/pki/certificate.ts";

/** A CA, and certificates from it, as PEM, valid for an hour from a time on. */
export async function testCa(name = "kubernetes", from = Date.now()) {
  const keys = await newKeyPair("ECDSA-P256");
  const dates = { notBefore: new Date(from), notAfter: new Date(from + 3_600_000) };
  const certificate = newCertificate({ commonName: name, ca: true, dnsNames: [name], ...dates }, keys.publicKey, {
    selfKey: keys.privateKey,
  });
  const issuer: Issuer = { certificate, privateKey: keys.privateKey };
  return {
    ca: certificatePem(certificate),
    async issue(content: Omit<CertificateContent, "notBefore" | "notAfter">) {
      const pair = await newKeyPair("ECDSA-P256");
      return {
        cert: certificatePem(newCertificate({ ...content, ...dates }, pair.publicKey, issuer)),
        key: privateKeyPem(pair.privateKey),
      };
    },
  };
}

/** What the double was asked, and how it answers. */
export type Handler = (
  request: { method: string; url: URL; body: string; token: string | undefined; type: string | undefined },
  response: ServerResponse,
) => void;

/**
 * An HTTPS server in this process in the place of an API server, on a free loopback port. It takes only clients that
 * its CA has certified, unless told to take any.
 */
export async function apiDouble(handler: Handler, options: { anyClient?: boolean; from?: number } = {}) {
  const ca = await testCa("kubernetes", options.from);
  const server = await ca.issue({
    commonName: "kube-apiserver",
    usages: ["server"],
    ipAddresses: ["127.0.0.1"],
    dnsNames: ["localhost"],
  });
  const client = await ca.issue({
    commonName: "kubernetes-admin",
    organizations: ["kubeadm:cluster-admins"],
    usages: ["client"],
  });
  const listener = https.createServer(
    { ...server, ca: ca.ca, requestCert: !options.anyClient, rejectUnauthorized: !options.anyClient },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        handler(
          {
            method: request.method!,
            url: new URL(request.url!, "https://localhost"),
            body: Buffer.concat(chunks).toString(),
            token: request.headers.authorization,
            type: request.headers["content-type"],
          },
          response,
        );
      });
    },
  );
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    server: `https://127.0.0.1:${port}`,
    ca: ca.ca,
    client,
    close: () => {
      listener.closeAllConnections();
      listener.close();
    },
  };
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(value));
}
