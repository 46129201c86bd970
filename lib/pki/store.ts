import { type KeyObject, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { parseDuration } from "../config/schema.ts";
import type { InitConfig } from "../config/types.ts";
import { KubestickError, reason } from "../host/errors.ts";
import type { Files } from "../host/files.ts";
import { canonicalIp } from "../host/net.ts";
import { newKeyPair, privateKeyPem, publicKeyPem, publicOf, readPrivateKey, samePublicKey } from "./algorithms.ts";
import { certificatePem, type Issuer, newCertificate } from "./certificate.ts";
import { type AltNames, CERTIFICATES, type CertSpec, type ClientIdentity } from "./kubeadm-certs.ts";

/** What happened to a certificate or key: made now, or found there and good. */
export type Outcome = "created" | "existing" | "external";

/** The certificates below a cluster's certificates directory. Nothing that is there is ever overwritten. */
export class CertificateStore {
  readonly #files: Files;
  readonly #config: InitConfig;
  readonly #now: Date;
  readonly #keys = new Map<string, Promise<{ privateKey: KeyObject; publicKey: KeyObject }>>();

  constructor(files: Files, config: InitConfig, now: Date) {
    this.#files = files;
    this.#config = config;
    this.#now = now;
  }

  /** The absolute path of a file in the certificates directory. */
  path(name: string): string {
    return join(this.#config.cluster.certificatesDir, name);
  }

  /**
   * Begins to make the keys that will be needed, all at once: RSA keys take a thread each, and a board has several.
   * Without it each is made when it is asked for.
   */
  prepareKeys(names: string[]): void {
    for (const name of names) {
      if (this.#files.exists(this.path(`${name}.crt`)) || this.#files.exists(this.path(`${name}.key`))) continue;
      const made = newKeyPair(this.#config.cluster.encryptionAlgorithm);
      made.catch(() => undefined);
      this.#keys.set(name, made);
    }
  }

  /**
   * Makes a certificate and key, or checks those that are there: the key belongs to the certificate, its CA signed it,
   * it is valid now and has every name it needs. Throws KubestickError naming the file and what is wrong with it.
   */
  async ensure(spec: CertSpec): Promise<Outcome> {
    const certificate = this.certificate(spec.base);
    return spec.ca === undefined ? this.#ensureCa(spec, certificate) : this.#ensureLeaf(spec, certificate);
  }

  async #ensureCa(spec: CertSpec, existing: X509Certificate | undefined): Promise<Outcome> {
    const crt = this.path(`${spec.base}.crt`);
    if (existing) {
      if (!existing.ca) throw new KubestickError(`${crt} is not a CA certificate`, { hint: MOVE_AWAY(crt) });
      this.#checkDates(crt, existing);
      const key = this.#key(spec.base);
      if (!key) return "external";
      this.#checkKey(spec.base, existing, key);
      return "existing";
    }
    if (
      spec.name === "ca" &&
      this.#files
        .list(this.#config.cluster.certificatesDir)
        .some((n) => n.endsWith(".crt") && n.startsWith("apiserver"))
    ) {
      throw new KubestickError(`${crt} is missing, but certificates that it signed are there`, {
        hint: `restore ${crt} from a backup; a new CA would shut out every node`,
      });
    }
    // A key without a certificate is what a crash between the two leaves; it has signed nothing yet.
    const key = this.#key(spec.base) ?? (await this.#newKey(spec.base)).privateKey;
    const content = {
      commonName: spec.commonName(this.#config),
      ca: true,
      dnsNames: [spec.commonName(this.#config)],
      ...this.#validity(this.#config.cluster.caCertificateValidityPeriod),
    };
    this.#write(spec.base, key, newCertificate(content, publicOf(key), { selfKey: key }));
    return "created";
  }

  async #ensureLeaf(spec: CertSpec, existing: X509Certificate | undefined): Promise<Outcome> {
    const caSpec = CERTIFICATES.find((c) => c.name === spec.ca)!;
    const ca = this.certificate(caSpec.base);
    const crt = this.path(`${spec.base}.crt`);
    const names = spec.altNames?.(this.#config) ?? { dnsNames: [], ipAddresses: [] };
    if (!ca) {
      throw new KubestickError(`cannot make ${crt}: its CA ${this.path(`${caSpec.base}.crt`)} is not there`, {
        hint: `run first: kubestick init phase certs ${caSpec.name}`,
      });
    }
    if (existing) {
      this.#checkDates(crt, existing);
      if (!issuedBy(existing, ca)) {
        throw new KubestickError(`${crt} was not signed by the CA ${this.path(`${caSpec.base}.crt`)}`, {
          hint: MOVE_AWAY(crt),
        });
      }
      const missing = missingNames(existing, names);
      if (missing.length > 0) {
        throw new KubestickError(
          `${crt} lacks the subject alternative name${missing.length > 1 ? "s" : ""} ${missing.join(", ")}`,
          { hint: MOVE_AWAY(crt) },
        );
      }
      const key = this.#key(spec.base);
      if (!key)
        throw new KubestickError(`${this.path(`${spec.base}.key`)} is missing; ${crt} is of no use without it`, {
          hint: MOVE_AWAY(crt),
        });
      this.#checkKey(spec.base, existing, key);
      return "existing";
    }
    const caKey = this.#key(caSpec.base);
    if (!caKey) {
      throw new KubestickError(
        `${crt} is missing, and the CA's key ${this.path(`${caSpec.base}.key`)} is not on this host to sign it`,
        {
          hint: `external CA mode: sign the certificate elsewhere and copy ${crt} and its .key here, then run the same command again`,
        },
      );
    }
    const key = this.#key(spec.base) ?? (await this.#newKey(spec.base)).privateKey;
    const content = {
      commonName: spec.commonName(this.#config),
      organizations: spec.organizations,
      usages: spec.usages,
      ...names,
      ...this.#validity(this.#config.cluster.certificateValidityPeriod),
    };
    this.#write(spec.base, key, newCertificate(content, publicOf(key), { certificate: ca, privateKey: caKey }));
    return "created";
  }

  /** Makes the key pair that signs service account tokens, or checks the one that is there. */
  async ensureServiceAccountKey(): Promise<Outcome> {
    const [keyPath, pubPath] = [this.path("sa.key"), this.path("sa.pub")];
    const found = this.#key("sa");
    if (!found && this.#files.exists(pubPath)) return "external";
    const key = found ?? (await this.#newKey("sa")).privateKey;
    if (!found) this.#files.write(keyPath, privateKeyPem(key), { mode: 0o600, secret: true });
    if (this.#files.exists(pubPath)) return "existing";
    this.#files.write(pubPath, publicKeyPem(publicOf(key)), { mode: 0o600 });
    return "created";
  }

  /** A CA that can sign. Throws KubestickError when the certificate or the key is not there. */
  issuer(base: string): Issuer {
    const certificate = this.certificate(base);
    const privateKey = certificate && this.#key(base);
    if (!certificate)
      throw new KubestickError(`${this.path(`${base}.crt`)} is not there`, {
        hint: "run first: kubestick init phase certs all",
      });
    if (!privateKey) {
      throw new KubestickError(
        `the CA's key ${this.path(`${base}.key`)} is not on this host, so nothing new can be signed`,
        {
          hint: "external CA mode: make the kubeconfigs elsewhere and copy them here, then run the same command again",
        },
      );
    }
    this.#checkKey(base, certificate, privateKey);
    return { certificate, privateKey };
  }

  /** A certificate of the directory, or undefined where there is none. Throws KubestickError when it is not one. */
  certificate(base: string): X509Certificate | undefined {
    const path = this.path(`${base}.crt`);
    const pem = this.#files.read(path);
    if (pem === undefined) return undefined;
    try {
      return new X509Certificate(pem);
    } catch (error) {
      throw new KubestickError(`${path} is not a certificate in PEM: ${reason(error)}`, { hint: MOVE_AWAY(path) });
    }
  }

  /** A client certificate and key signed by the cluster CA, for a kubeconfig; nothing is written. */
  async clientCertificate(identity: ClientIdentity, keyName: string): Promise<{ certificate: string; key: string }> {
    const issuer = this.issuer("ca");
    const pair = await this.#newKey(keyName);
    const content = {
      ...identity,
      usages: ["client" as const],
      ...this.#validity(this.#config.cluster.certificateValidityPeriod),
    };
    const certificate = newCertificate(content, pair.publicKey, issuer);
    return { certificate: certificatePem(certificate), key: privateKeyPem(pair.privateKey) };
  }

  #newKey(name: string) {
    return this.#keys.get(name) ?? newKeyPair(this.#config.cluster.encryptionAlgorithm);
  }

  #key(base: string): KeyObject | undefined {
    const path = this.path(`${base}.key`);
    const pem = this.#files.read(path);
    return pem && readPrivateKey(pem, path);
  }

  #write(base: string, key: KeyObject, certificate: X509Certificate): void {
    // The key first: a certificate is only ever there with its key.
    this.#files.write(this.path(`${base}.key`), privateKeyPem(key), { mode: 0o600, secret: true });
    this.#files.write(this.path(`${base}.crt`), certificatePem(certificate), { mode: 0o644 });
  }

  #validity(period: string): { notBefore: Date; notAfter: Date } {
    return { notBefore: this.#now, notAfter: new Date(this.#now.getTime() + parseDuration(period)) };
  }

  #checkKey(base: string, certificate: X509Certificate, key: KeyObject): void {
    if (samePublicKey(publicOf(key), certificate.publicKey)) return;
    throw new KubestickError(`${this.path(`${base}.key`)} is not the key of ${this.path(`${base}.crt`)}`, {
      hint: "restore the pair that belongs together from a backup",
    });
  }

  #checkDates(path: string, certificate: X509Certificate): void {
    const [from, to] = [certificate.validFromDate, certificate.validToDate];
    if (to < this.#now) throw new KubestickError(`${path} expired on ${to.toISOString()}`, { hint: MOVE_AWAY(path) });
    if (from > this.#now) {
      throw new KubestickError(
        `${path} is valid only from ${from.toISOString()}, and this host's clock says ${this.#now.toISOString()}`,
        {
          hint: 'set the clock (date -s "YYYY-MM-DD HH:MM:SS"), then run the same command again',
        },
      );
    }
  }
}

const MOVE_AWAY = (path: string) =>
  `move it and its key away (mv ${path} ${path}.old) to have it made anew, or put the right one there`;

/** Whether a CA issued and signed a certificate. */
export function issuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  try {
    return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  } catch {
    return false;
  }
}

/** The names of a list that a certificate does not have. */
export function missingNames(certificate: X509Certificate, wanted: AltNames): string[] {
  const has = new Set<string>();
  for (const entry of certificate.subjectAltName?.split(", ") ?? []) {
    const [kind, value] = [entry.slice(0, entry.indexOf(":")), entry.slice(entry.indexOf(":") + 1)];
    has.add(kind === "IP Address" ? (canonicalIp(value) ?? value) : value);
  }
  return [...wanted.dnsNames, ...wanted.ipAddresses].filter((name) => !has.has(name));
}
