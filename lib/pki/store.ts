import type { KeyObject, X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { InitConfig } from "../config/init-config.ts";
import { KubestickError, reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import { parseDuration } from "../util/duration.ts";
import {
  newKeyPair,
  privateKeyPem,
  publicKeyPem,
  publicKeysOf,
  publicOf,
  readPrivateKey,
  samePublicKey,
} from "./algorithms.ts";
import { OID } from "./asn1.ts";
import { type CertificateContent, certificatePem, type Issuer, newCertificate } from "./certificate.ts";
import { chainFault } from "./chain.ts";
import { CERTIFICATES, type CertSpec, type ClientIdentity } from "./kubeadm-certs.ts";
import { missingNames } from "./names.ts";
import { readCertificates } from "./pem.ts";
import { certificateKeyWeakness, publicKeyOf } from "./strength.ts";

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
   * it is valid now, and has every name and usage it needs. Throws KubestickError naming the file and what is wrong with it.
   */
  async ensure(spec: CertSpec): Promise<Outcome> {
    const certificate = this.certificate(spec.base);
    return spec.ca === undefined ? this.#ensureCa(spec, certificate) : this.#ensureLeaf(spec, certificate);
  }

  async #ensureCa(spec: CertSpec, existing: X509Certificate | undefined): Promise<Outcome> {
    const crt = this.path(`${spec.base}.crt`);
    if (existing) {
      this.#checkCa(crt, existing);
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
    this.#checkCa(this.path(`${caSpec.base}.crt`), ca);
    if (existing) {
      this.#checkDates(crt, existing);
      const [, ...others] = this.certificates(spec.base);
      const fault = chainFault(existing, others, [ca]);
      if (fault) {
        throw new KubestickError(`${crt} does not come from the CA ${this.path(`${caSpec.base}.crt`)}: ${fault}`, {
          hint: MOVE_AWAY(crt),
        });
      }
      const unfit = missingUsage(existing, spec.usages);
      if (unfit) {
        throw new KubestickError(`${crt} is not for the use as a ${unfit} (extendedKeyUsage ${unfit}Auth)`, {
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
    this.#checkKey(caSpec.base, ca, caKey);
    this.#write(
      spec.base,
      key,
      this.#signed(content, publicOf(key), { certificate: ca, privateKey: caKey }, caSpec.base),
    );
    return "created";
  }

  /** Makes the key pair that signs service account tokens, or checks the one that is there. */
  async ensureServiceAccountKey(): Promise<Outcome> {
    const [keyPath, pubPath] = [this.path("sa.key"), this.path("sa.pub")];
    const published = this.#files.read(pubPath);
    const found = this.#key("sa");
    if (!found && published)
      throw new KubestickError(`${keyPath} is missing: the API server signs service account tokens with it`, {
        hint: `restore it from a backup; or, where no token depends on it, mv ${pubPath} ${pubPath}.old and run the same command again, which makes a new pair`,
      });
    const key = found ?? (await this.#newKey("sa")).privateKey;
    if (!found) this.#files.write(keyPath, privateKeyPem(key), { mode: 0o600, secret: true });
    if (published) {
      // Several may stand there while the key is changed, and one must be the key's.
      if (publicKeysOf(published).some((other) => samePublicKey(publicOf(key), other))) return "existing";
      throw new KubestickError(
        `${pubPath} does not hold the public half of ${keyPath}, so that no service account token would be believed`,
        { hint: `make it from the key: openssl pkey -in ${keyPath} -pubout -out ${pubPath}` },
      );
    }
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
    this.#checkCa(this.path(`${base}.crt`), certificate);
    this.#checkKey(base, certificate, privateKey);
    return { certificate, privateKey };
  }

  /** The first certificate of a file of the directory, or undefined where there is none. Throws KubestickError when it is not one. */
  certificate(base: string): X509Certificate | undefined {
    return this.certificates(base)[0];
  }

  /** Every certificate of a file of the directory: behind the first one those that lead to its CA. */
  certificates(base: string): X509Certificate[] {
    const path = this.path(`${base}.crt`);
    const pem = this.#files.read(path);
    return pem === undefined ? [] : readCertificates(pem, path, MOVE_AWAY(path));
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
    const certificate = this.#signed(content, pair.publicKey, issuer, "ca");
    return { certificate: certificatePem(certificate), key: privateKeyPem(pair.privateKey) };
  }

  /** A certificate that the CA of a file signs, and that is then believed because of it. */
  #signed(content: CertificateContent, publicKey: KeyObject, issuer: Issuer, base: string): X509Certificate {
    const fail = (why: string): never => {
      const path = this.path(`${base}.crt`);
      throw new KubestickError(`${path} cannot be used to sign: ${why}`, { hint: MOVE_AWAY(path) });
    };
    let made: X509Certificate | undefined;
    try {
      made = newCertificate(content, publicKey, issuer);
    } catch (error) {
      fail(reason(error));
    }
    // A CA without the usage of one, or in an encoding of its own, signs what nobody takes.
    const fault = chainFault(made!, [], [issuer.certificate]);
    return fault ? fail(fault) : made!;
  }

  #newKey(name: string) {
    return this.#keys.get(name) ?? newKeyPair(this.#config.cluster.encryptionAlgorithm);
  }

  #key(base: string): KeyObject | undefined {
    const path = this.path(`${base}.key`);
    const pem = this.#files.read(path);
    return pem === undefined ? undefined : readPrivateKey(pem, path);
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
    const isKeyOf = (other: X509Certificate) => {
      const its = publicKeyOf(other);
      return its !== undefined && samePublicKey(publicOf(key), its);
    };
    if (isKeyOf(certificate)) return;
    const crt = this.path(`${base}.crt`);
    throw new KubestickError(`${this.path(`${base}.key`)} is not the key of ${crt}`, {
      hint: this.certificates(base).some(isKeyOf)
        ? `it is that of a certificate further down in ${crt}, which must come first`
        : "restore the pair that belongs together from a backup",
    });
  }

  #checkCa(path: string, certificate: X509Certificate): void {
    if (!certificate.ca) throw new KubestickError(`${path} is not a CA certificate`, { hint: MOVE_AWAY(path) });
    const weak = certificateKeyWeakness(certificate);
    if (weak) throw new KubestickError(`${path} cannot be used: its key ${weak}`, { hint: MOVE_AWAY(path) });
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

/** The first of some usages that a certificate's extendedKeyUsage leaves out; one that has none is for every use. */
function missingUsage(certificate: X509Certificate, usages: CertSpec["usages"] = []): string | undefined {
  const has = certificate.keyUsage;
  if (!has || has.length === 0 || has.includes(OID.anyExtKeyUsage)) return undefined;
  return usages.find((usage) => !has.includes(usage === "server" ? OID.serverAuth : OID.clientAuth));
}
