import { createHash, type KeyObject, X509Certificate } from "node:crypto";
import type { ApiClient } from "../api/client.ts";
import { conditionsOf, mapOf, textOf } from "../api/fields.ts";
import type { KubeObject } from "../api/resources.ts";
import { CLUSTER_NAME, GROUP_NODES, SIGNER_KUBELET_CLIENT, USER_NODE_PREFIX } from "../constants/names.ts";
import {
  KUBELET_CLIENT_CURRENT,
  KUBELET_CLIENT_KEY_PENDING,
  KUBELET_KUBECONFIG,
  KUBELET_PKI_DIR,
} from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { newKeyPair, privateKeyPem, publicKeyDer, publicOf, readPrivateKey } from "../pki/algorithms.ts";
import { certificateRequest } from "../pki/request.ts";
import { PROCESS_CLOCK, until } from "../util/until.ts";
import { rotatingKubeconfig } from "./kubeconfig.ts";

const FIRST_PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1_000;
/** Also those that a controller before v1.26 insists on. */
const USAGES = ["digital signature", "key encipherment", "client auth"];

/** How long an approved request may lie unsigned before it is said that perhaps nobody signs here. */
const SIGNING_MS = 3_000;

/** A node that gets its kubelet's certificate. */
export interface BootstrapHost {
  files: Files;
  nodeName: string;
  /** A client that may ask for a node's certificate: with a bootstrap token, or more. */
  client: ApiClient;
  /** What the kubelet is to connect to. */
  cluster: { server: string; ca: string };
  timeoutMs: number;
  /** Told the name of the request while it waits to be approved and signed. */
  waiting: (request: string) => void;
  /** Told once, where a request is approved and yet nobody signs it. */
  unsigned: (request: string) => void;
}

/** Whether this node's kubelet has a certificate and knows the cluster. */
export function hasNodeCertificate(files: Files): boolean {
  return files.exists(KUBELET_KUBECONFIG) && files.exists(KUBELET_CLIENT_CURRENT);
}

/**
 * The kubelet's TLS bootstrap (https://kubernetes.io/docs/reference/access-authn-authz/kubelet-tls-bootstrapping/), done
 * for it before it starts, so that it registers its node at its first try and the token is never written to this host.
 * Files and names are those that the kubelet itself would make; later it renews the certificate alone. A run that broke
 * off is gone on with: the request is named after the key. Throws KubestickError when it is denied or not signed in time.
 */
export async function bootstrapKubelet(host: BootstrapHost): Promise<void> {
  const { files, nodeName, cluster } = host;
  const pending = files.read(KUBELET_CLIENT_KEY_PENDING);
  const key = pending
    ? readPrivateKey(pending, KUBELET_CLIENT_KEY_PENDING)
    : (await newKeyPair("ECDSA-P256")).privateKey;
  const keyPem = privateKeyPem(key);
  if (!pending) files.write(KUBELET_CLIENT_KEY_PENDING, keyPem, { mode: 0o600, secret: true });
  const subject = { commonName: `${USER_NODE_PREFIX}${nodeName}`, organizations: [GROUP_NODES] };
  const publicKey = publicOf(key);
  const name = `node-csr-${createHash("sha256").update(publicKeyDer(publicKey)).update(subject.commonName).digest("hex")}`;
  const certificate = await signedCertificate(host, name, certificateRequest(subject, { publicKey, privateKey: key }));
  if (!fits(certificate, key))
    throw new KubestickError(`the certificate that the cluster gave for ${name} is not for this node's key`, {
      hint: `kubectl delete csr ${name}, then run the same command again`,
    });
  const stamp = new Date().toISOString().slice(0, 19).replace(/[T:]/g, "-");
  const file = `${KUBELET_PKI_DIR}/kubelet-client-${stamp}.pem`;
  files.write(file, `${certificate.trimEnd()}\n${keyPem}`, { mode: 0o600, secret: true });
  files.link(KUBELET_CLIENT_CURRENT, file);
  files.remove(KUBELET_CLIENT_KEY_PENDING);
  const config = rotatingKubeconfig(CLUSTER_NAME, nodeName, cluster.server, cluster.ca);
  files.write(KUBELET_KUBECONFIG, config, { mode: 0o600, secret: true });
}

function fits(certificate: string, key: KeyObject): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(key);
  } catch {
    // It is no certificate at all.
    return false;
  }
}

/** Sends a request unless it was sent before, and waits for its certificate in PEM. */
async function signedCertificate(host: BootstrapHost, name: string, request: string): Promise<string> {
  const { client, timeoutMs, waiting } = host;
  const [apiVersion, kind] = ["certificates.k8s.io/v1", "CertificateSigningRequest"];
  const spec = { request: Buffer.from(request).toString("base64"), signerName: SIGNER_KUBELET_CLIENT, usages: USAGES };
  const sent = { apiVersion, kind, metadata: { name }, spec };
  let created: KubeObject | undefined = await client.createIfAbsent(sent);
  let approved: number | undefined;
  let unsigned = false;
  const signed = async () => {
    const seen = created ?? (await client.get(apiVersion, kind, name));
    created = undefined;
    const conditions = conditionsOf(seen);
    const refusal = conditions.find(({ type }) => type === "Denied" || type === "Failed");
    if (refusal)
      throw new KubestickError(
        `the cluster refused this node's certificate (${refusal.type}): ${refusal.message || name}`,
        {
          hint: `on a control plane: kubectl describe csr ${name}; kubectl delete csr ${name} lets this node ask again`,
        },
      );
    const certificate = textOf(mapOf(seen?.["status"])?.["certificate"]);
    if (certificate) return Buffer.from(certificate, "base64").toString("utf8");
    if (conditions.some(({ type }) => type === "Approved")) approved ??= PROCESS_CLOCK.now();
    const told = unsigned;
    unsigned = approved !== undefined && PROCESS_CLOCK.now() - approved > SIGNING_MS;
    if (unsigned && !told) host.unsigned(name);
    return undefined;
  };
  return until(signed, {
    limitMs: timeoutMs,
    pauseMs: FIRST_PAUSE_MS,
    longestPauseMs: LONGEST_PAUSE_MS,
    waiting: () => waiting(name),
    late: () =>
      new KubestickError(`the cluster did not sign this node's certificate within ${timeoutMs / 1000} s`, {
        code: "timeout",
        hint: unsigned
          ? "it was approved, and nobody signed it; with an external CA whoever has its key does; then run the same command again"
          : `on a control plane, see whether the controller manager runs (crictl ps --name kube-controller-manager); kubectl certificate approve ${name} approves it by hand; then run the same command again`,
      }),
  });
}
