import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  INDEX_TYPES,
  MANIFEST_TYPES,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../constants/oci.ts";
import { KubestickError, UsageError } from "../errors.ts";
import { abandon, type Downloader, type Get, HttpError, isLocal } from "../net/download.ts";
import { canonicalHost, type Login, type RegistryCredentials } from "./credentials.ts";
import { type Descriptor, describe, digestOf } from "./descriptor.ts";
import { parseObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { architectureOf, oldSchema } from "./manifest.ts";
import { DOCKER_HUB, parseReference, type Reference } from "./reference.ts";
import type { Staging } from "./staging.ts";

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");
const MAX_TOKEN_BYTES = 1024 * 1024;

/** Where registries really are, by host, and how to log in; credentials are read when a registry first asks for some. */
export interface RegistryOptions {
  mirrors: Map<string, string>;
  credentials: () => RegistryCredentials;
}

/** Reads a `--registry-mirror` list: `host=URL` each, or a URL alone for every registry (key `*`). Throws UsageError. */
export function parseMirrors(texts: string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const match = /^(?:([^=/\s]+)=)?(https?:\/\/[^=?#\s]+?)\/*$/.exec(text);
      const url = URL.parse(match?.[2] ?? "");
      if (!match || !url || url.hostname === "" || url.username !== "" || url.password !== "")
        throw new UsageError(
          `--registry-mirror takes HOST=URL or URL, not ${JSON.stringify(text)}`,
          "such as registry.k8s.io=https://mirror.example.org",
        );
      return [match[1] === undefined || match[1] === "*" ? "*" : canonicalHost(match[1]), match[2]!];
    }),
  );
}

/** A client of registries (OCI distribution-spec 1.1, pull only), with token authentication. */
export class Registry {
  readonly #tokens = new Map<string, string>();

  constructor(
    readonly downloader: Downloader,
    readonly options: RegistryOptions,
  ) {}

  /** A manifest or index by tag or digest, verified where a digest was asked for. Throws HttpError, KubestickError. */
  async manifest(name: string, digest?: string): Promise<{ descriptor: Descriptor; data: Buffer }> {
    const reference = parseReference(name);
    const wanted = digest ?? reference.digest;
    const path = `manifests/${wanted ?? reference.tag}`;
    const { data, headers } = await this.#authorized(reference, path, (get) =>
      this.downloader.bytes({ ...get, headers: { ...get.headers, accept: ACCEPT } }, LIMITS.jsonBytes),
    );
    if (wanted !== undefined && digestOf(data) !== wanted)
      throw new KubestickError(`${this.#base(reference)} sent another manifest for ${name} than ${wanted}`);
    const said = String(headers["content-type"] ?? "none")
      .replace(/;.*/, "")
      .slice(0, 200);
    const inside = parseObject(data, `what ${this.#base(reference)} sent as the manifest of ${name} (${said})`)[
      "mediaType"
    ];
    const mediaType = typeof inside === "string" ? inside : said;
    if (DOCKER_SCHEMA1.includes(mediaType)) throw oldSchema(name);
    if (![...INDEX_TYPES, ...MANIFEST_TYPES].includes(mediaType))
      throw new KubestickError(`${name} is of the media type ${mediaType.slice(0, 200)}, which is no image`);
    return { descriptor: describe(mediaType, data), data };
  }

  /** The architecture that an image's config says it is for. Throws KubestickError when it says none. */
  async architecture(name: string, config: Descriptor): Promise<string> {
    const reference = parseReference(name);
    const { data } = await this.#authorized(reference, `blobs/${config.digest}`, (get) =>
      this.downloader.bytes(get, LIMITS.jsonBytes),
    );
    if (digestOf(data) !== config.digest) throw new KubestickError(`the registry sent another config of ${name}`);
    const arch = architectureOf(parseObject(data, `the config of ${name}`));
    if (arch !== undefined) return arch;
    throw new KubestickError(`the config of ${name} names no architecture of Linux`);
  }

  /** Downloads a blob of an image into the staging directory. */
  async blob(name: string, blob: Descriptor, staging: Staging, progress: (bytes: number) => void): Promise<void> {
    const reference = parseReference(name);
    const path = `blobs/${blob.digest}`;
    await staging.download(
      this.downloader,
      { ...blob, what: `a part of ${name}` },
      async () => {
        const get = this.#get(reference, path);
        // Large downloads cannot be asked twice: find out whether a token is needed with the shortest range.
        if (get.headers?.["authorization"] === undefined)
          await this.#authorized(reference, path, async (probe) => {
            const response = await this.downloader.get({ ...probe, headers: { ...probe.headers, range: "bytes=0-0" } });
            abandon(response);
          });
        return this.#get(reference, path);
      },
      progress,
    );
  }

  /** Does something with a request; on 401 gets a token as the answer says, and does it once more. */
  async #authorized<T>(reference: Reference, path: string, attempt: (get: Get) => Promise<T>): Promise<T> {
    try {
      return await attempt(this.#get(reference, path));
    } catch (error) {
      if (!(error instanceof HttpError) || error.status !== 401) throw error;
      await this.#authenticate(reference, String(error.headers["www-authenticate"] ?? ""));
      return attempt(this.#get(reference, path)).catch((again) => {
        if (!(again instanceof HttpError) || again.status !== 401) throw again;
        throw new HttpError(
          again.url,
          401,
          {},
          "it does not take the credentials that it was given, or not for this name",
        );
      });
    }
  }

  #get(reference: Reference, path: string): Get {
    const authorization = this.#tokens.get(this.#scope(reference));
    return {
      url: `${this.#base(reference)}/v2/${reference.repository}/${path}`,
      ...(authorization ? { headers: { authorization } } : {}),
    };
  }

  #mirror({ host }: Reference): string | undefined {
    return this.options.mirrors.get(canonicalHost(host)) ?? this.options.mirrors.get("*");
  }

  #base(reference: Reference): string {
    // Docker's registry has another name than its images say.
    const own = `https://${reference.host === DOCKER_HUB ? "registry-1.docker.io" : reference.host}`;
    return this.#mirror(reference) ?? own;
  }

  #scope(reference: Reference): string {
    return `${reference.host}/${reference.repository}`;
  }

  /**
   * The login to send, or why none is. A registry's own is for that registry: a mirror that stands for it gets the one
   * that is given under the mirror's name, except a mirror on this machine's loopback, which is a way to the registry
   * that its user has made. Nothing is sent over plain HTTP that others could hear.
   */
  #login(reference: Reference): { login: Login } | { hint: string } {
    const mirror = this.#mirror(reference);
    const base = new URL(this.#base(reference));
    const credentials = this.options.credentials();
    const own = credentials.find(reference.host, reference.repository);
    const local = isLocal(base.hostname);
    const login =
      mirror === undefined
        ? own
        : (credentials.find(base.host, `${base.pathname}/${reference.repository}`) ?? (local ? own : undefined));
    if (login && (base.protocol === "https:" || local)) return { login };
    if (login) return { hint: "credentials are never sent over plain HTTP; reach it by HTTPS" };
    if (own)
      return {
        hint: `the credentials of ${reference.host} are not sent to its mirror; add some for ${base.host} to the file of --registry-config`,
      };
    const elsewhere = credentials.elsewhere(mirror === undefined ? reference.host : base.host);
    return {
      hint: `${elsewhere ? `${elsewhere}; ` : ""}log in (skopeo login ${base.host}), or give a file with --registry-config`,
    };
  }

  async #authenticate(reference: Reference, challenge: string): Promise<void> {
    const base = new URL(this.#base(reference));
    const found = this.#login(reference);
    const login = "login" in found ? found.login : undefined;
    const refused = (why: string, hint = "hint" in found ? found.hint : undefined) =>
      new HttpError(`${base.href} (${why})`, 401, {}, hint);
    const [bearer] = [...challenge.matchAll(/\bBearer\s+((?:\w+=(?:"[^"]*"|[^\s,"]*)[\s,]*)+)/gi)];
    if (!bearer) {
      if (!/\bBasic\b/i.test(challenge))
        throw refused("it does not say how it wants to be asked", "is that a registry?");
      if (!login) throw refused("it wants a user and a password");
      this.#tokens.set(this.#scope(reference), `Basic ${login.basic}`);
      return;
    }
    const parts = Object.fromEntries(
      [...bearer[1]!.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,"]*))/g)].map((m) => [m[1]!.toLowerCase(), m[2] ?? m[3] ?? ""]),
    );
    const realm = URL.parse(parts["realm"] ?? "", base.href);
    if (!parts["realm"] || !realm) throw refused("it names no place that gives tokens", "is that a registry?");
    if (parts["service"]) realm.searchParams.set("service", parts["service"]);
    realm.searchParams.set("scope", `repository:${reference.repository}:pull`);
    const safe = realm.protocol === "https:" || (isLocal(realm.hostname) && isLocal(base.hostname));
    const headers: Record<string, string> = login && safe ? { authorization: `Basic ${login.basic}` } : {};
    const { data } = await this.downloader.bytes({ url: realm.href, headers }, MAX_TOKEN_BYTES).catch((error) => {
      throw error instanceof HttpError && error.status === 401 && !login
        ? refused("it wants a user and a password")
        : error;
    });
    const answer = parseObject(data, `the answer of ${realm.host}`);
    const token = answer["token"] ?? answer["access_token"];
    // What a header can hold (RFC 6750 b64token, a little wider).
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
      throw new KubestickError(`${realm.host} gave no token for ${reference.name}`);
    this.#tokens.set(this.#scope(reference), `Bearer ${token}`);
  }
}
