import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Cluster } from "../api/cluster.ts";
import { textsOf } from "../api/fields.ts";
import { role, roleBinding } from "../api/rbac.ts";
import type { InitConfig } from "../config/init-config.ts";
import { GROUP_BOOTSTRAPPERS, NAMESPACE_SYSTEM, SECRET_CERTS } from "../constants/names.ts";
import { KubestickError } from "../errors.ts";

const NONCE = 12;
const TAG = 16;

/** A new certificate key: 32 random bytes in hexadecimal. */
export function newCertificateKey(): string {
  return randomBytes(32).toString("hex");
}

/** AES-256-GCM as kubeadm stores it: nonce, ciphertext, tag (kubeadm util/crypto). */
export function sealCertificate(data: Buffer, key: string): Buffer {
  const nonce = randomBytes(NONCE);
  const cipher = createCipheriv("aes-256-gcm", Buffer.from(key, "hex"), nonce);
  return Buffer.concat([nonce, cipher.update(data), cipher.final(), cipher.getAuthTag()]);
}

/** The inverse of `sealCertificate`. Throws Error when the key is wrong or the data was changed. */
export function openCertificate(sealed: Buffer, key: string): Buffer {
  if (sealed.length < NONCE + TAG) throw new RangeError("the encrypted data is too short");
  const decipher = createDecipheriv("aes-256-gcm", Buffer.from(key, "hex"), sealed.subarray(0, NONCE));
  decipher.setAuthTag(sealed.subarray(-TAG));
  return Buffer.concat([decipher.update(sealed.subarray(NONCE, -TAG)), decipher.final()]);
}

/** The files that another control plane needs, by their key in the Secret (kubeadm copycerts). */
export function sharedCertificates(config: InitConfig): Record<string, string> {
  const pki = config.cluster.certificatesDir;
  const { external } = config.cluster.etcd;
  const etcd: Record<string, string | undefined> = external
    ? {
        "external-etcd-ca.crt": external.caFile,
        "external-etcd.crt": external.certFile,
        "external-etcd.key": external.keyFile,
      }
    : { "etcd-ca.crt": `${pki}/etcd/ca.crt`, "etcd-ca.key": `${pki}/etcd/ca.key` };
  const own = ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"];
  const all = [...own.map((name) => [name, `${pki}/${name}`]), ...Object.entries(etcd)];
  return Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The kubeadm-certs Secret, which goes when its short-lived token's Secret does, and the right to read it. */
export function certificateSecret(
  files: Record<string, Buffer>,
  key: string,
  owner: { name: string; uid: string },
): object[] {
  const name = "kubeadm:kubeadm-certs";
  return [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: {
        name: SECRET_CERTS,
        namespace: NAMESPACE_SYSTEM,
        ownerReferences: [{ apiVersion: "v1", blockOwnerDeletion: true, controller: true, kind: "Secret", ...owner }],
      },
      type: "Opaque",
      data: Object.fromEntries(Object.entries(files).map(([k, v]) => [k, sealCertificate(v, key).toString("base64")])),
    },
    role(NAMESPACE_SYSTEM, name, [
      { apiGroups: [""], resourceNames: [SECRET_CERTS], resources: ["secrets"], verbs: ["get"] },
    ]),
    roleBinding(NAMESPACE_SYSTEM, name, name, [{ kind: "Group", name: GROUP_BOOTSTRAPPERS }]),
  ];
}

/** A file of the first control plane's, as another one gets it. */
export interface SharedCertificate {
  path: string;
  data: Buffer;
}

/** What certificateSecret wrote, or kubeadm, opened with the key. Throws KubestickError where it is not there or the key is another. */
export async function readSharedCertificates(
  cluster: Pick<Cluster, "get">,
  config: InitConfig,
  key: string,
): Promise<SharedCertificate[]> {
  const hint = "upload them again on the first control plane: kubestick init phase upload-certs --upload-certs";
  const secret = await cluster.get("v1", "Secret", SECRET_CERTS, NAMESPACE_SYSTEM);
  if (!secret)
    throw new KubestickError(
      `the Secret ${NAMESPACE_SYSTEM}/${SECRET_CERTS} is not there: it is kept for two hours only`,
      { hint },
    );
  const sealed = textsOf(secret["data"]);
  return Object.entries(sharedCertificates(config)).map(([name, path]) => {
    if (sealed[name] === undefined) throw new KubestickError(`the Secret ${SECRET_CERTS} lacks ${name}`, { hint });
    try {
      return { path, data: openCertificate(Buffer.from(sealed[name], "base64"), key) };
    } catch {
      throw new KubestickError(
        `${name} in the Secret ${SECRET_CERTS} cannot be decrypted: the certificate key is another one`,
        { hint },
      );
    }
  });
}
