import { KubestickError } from "../errors.ts";
import { type Downloader, isLocal } from "../net/download.ts";
import { HttpError } from "../net/failures.ts";
import type { Login, RegistryCredentials } from "./credentials.ts";
import { parseObject } from "./json.ts";
import { endpointOf, type Mirrors } from "./mirrors.ts";
import type { Reference } from "./reference.ts";

const MAX_TOKEN_BYTES = 1024 * 1024;

/** Where registries really are, by host, and how to log in; credentials are read when a registry first asks for some. */
export interface RegistryOptions {
  mirrors: Mirrors;
  credentials: () => RegistryCredentials;
}

/** How a registry wants to be asked (WWW-Authenticate, RFC 9110 §11.6.1; distribution's token authentication). */
type Challenge = { scheme: "basic" } | { scheme: "bearer"; realm: string; service: string };

/** What is sent to registries so that they answer: by name and password, or by tokens that they are traded for. */
export class RegistryLogin {
  readonly #downloader: Downloader;
  readonly #options: RegistryOptions;
  /** The Authorization header for each repository. */
  readonly #headers = new Map<string, string>();

  constructor(downloader: Downloader, options: RegistryOptions) {
    this.#downloader = downloader;
    this.#options = options;
  }

  /** The Authorization header for an image's repository; undefined while it has not asked for one. */
  header(reference: Reference): string | undefined {
    return this.#headers.get(scopeOf(reference));
  }

  /**
   * Gets what a registry's refusal asks for, which `header` gives from then on. Throws HttpError where there is nothing to
   * log in with, KubestickError where a token cannot be had.
   */
  async answer(reference: Reference, refusal: HttpError): Promise<void> {
    const base = new URL(endpointOf(reference, this.#options.mirrors).url);
    // Whoever a registry sends its askers to has no say over who gets their credentials.
    if (new URL(refusal.url).origin !== base.origin) throw refusal;
    const found = this.#login(reference);
    const login = "login" in found ? found.login : undefined;
    const refused = (why: string, hint = "hint" in found ? found.hint : undefined) =>
      new HttpError(`${base.href} (${why})`, 401, {}, hint);
    const challenge = parseChallenge(String(refusal.headers["www-authenticate"] ?? ""));
    if (!challenge) throw refused("it does not say how it wants to be asked", "is that a registry?");
    if (challenge.scheme === "basic") {
      if (!login) throw refused("it wants a user and a password");
      this.#headers.set(scopeOf(reference), `Basic ${login.basic}`);
      return;
    }
    const realm = URL.parse(challenge.realm, base.href);
    if (!challenge.realm || !realm) throw refused("it names no place that gives tokens", "is that a registry?");
    if (challenge.service) realm.searchParams.set("service", challenge.service);
    realm.searchParams.set("scope", `repository:${reference.repository}:pull`);
    const safe = realm.protocol === "https:" || (isLocal(realm.hostname) && isLocal(base.hostname));
    const token = await this.#token(realm, safe ? login : undefined, reference).catch((error) => {
      throw error instanceof HttpError && error.status === 401 && !login
        ? refused("it wants a user and a password")
        : error;
    });
    this.#headers.set(scopeOf(reference), `Bearer ${token}`);
  }

  async #token(realm: URL, login: Login | undefined, { name }: Reference): Promise<string> {
    const headers: Record<string, string> = login ? { authorization: `Basic ${login.basic}` } : {};
    const { data } = await this.#downloader.bytes({ url: realm.href, headers }, MAX_TOKEN_BYTES);
    const answer = parseObject(data, `the answer of ${realm.host}`);
    const token = answer["token"] ?? answer["access_token"];
    // What a header can hold (RFC 6750 b64token, a little wider).
    if (typeof token === "string" && /^[\x21-\x7e]+$/.test(token)) return token;
    throw new KubestickError(`${realm.host} gave no token for ${name}`);
  }

  /**
   * The login to send, or why none is. A registry's own is for that registry: a mirror that stands for it gets the one
   * that is given under the mirror's name, except a mirror on this machine's loopback, which is a way to the registry
   * that its user has made. Nothing is sent over plain HTTP that others could hear.
   */
  #login(reference: Reference): { login: Login } | { hint: string } {
    const { url, mirrored } = endpointOf(reference, this.#options.mirrors);
    const base = new URL(url);
    const credentials = this.#options.credentials();
    const own = credentials.find(reference.host, reference.repository);
    const local = isLocal(base.hostname);
    const login = mirrored
      ? (credentials.find(base.host, `${base.pathname}/${reference.repository}`) ?? (local ? own : undefined))
      : own;
    if (login && (base.protocol === "https:" || local)) return { login };
    if (login) return { hint: "credentials are never sent over plain HTTP; reach it by HTTPS" };
    if (own)
      return {
        hint: `the credentials of ${reference.host} are not sent to its mirror; add some for ${base.host} to the file of --registry-config`,
      };
    const elsewhere = credentials.elsewhere(mirrored ? base.host : reference.host);
    return {
      hint: `${elsewhere ? `${elsewhere}; ` : ""}log in (skopeo login ${base.host}), or give a file with --registry-config`,
    };
  }
}

const scopeOf = ({ host, repository }: Reference) => `${host}/${repository}`;

/** The challenge of a WWW-Authenticate header: Bearer before Basic, where there are both; undefined for neither. */
function parseChallenge(header: string): Challenge | undefined {
  const [bearer] = [...header.matchAll(/\bBearer\s+((?:\w+=(?:"[^"]*"|[^\s,"]*)[\s,]*)+)/gi)];
  if (!bearer) return /\bBasic\b/i.test(header) ? { scheme: "basic" } : undefined;
  const parts = Object.fromEntries(
    [...bearer[1]!.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,"]*))/g)].map((m) => [m[1]!.toLowerCase(), m[2] ?? m[3] ?? ""]),
  );
  return { scheme: "bearer", realm: parts["realm"] ?? "", service: parts["service"] ?? "" };
}
