import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  INDEX_TYPES,
  MANIFEST_TYPES,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../constants/oci.ts";
import { KubestickError, UsageError } from "../host/errors.ts";
import { type Descriptor, describe, digestOf, parseObject } from "./descriptor.ts";
import { type Downloader, type Get, HttpError } from "./http.ts";
import { parseReference, type Reference } from "./reference.ts";
import type { Staging } from "./staging.ts";
import { MAX_JSON_BYTES } from "./store.ts";

const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");

/** Where registries really are: a host's mirror as a URL, and credentials by host (`user:password` in base64). */
export interface RegistryOptions {
  mirrors: Map<string, string>;
  credentials: Map<string, string>;
}

/** Reads a `--registry-mirror` list: `host=URL` each, or a URL alone for every registry (key `*`). Throws UsageError. */
export function parseMirrors(texts: string[]): Map<string, string> {
  return new Map(
    texts.map((text) => {
      const match = /^(?:([^=/]+)=)?(https?:\/\/[^=]+?)\/*$/.exec(text);
      if (!match)
        throw new UsageError(
          `--registry-mirror takes HOST=URL or URL, not ${JSON.stringify(text)}`,
          "such as registry.k8s.io=https://mirror.example.org",
        );
      return [match[1] ?? "*", match[2]!];
    }),
  );
}

/** Credentials out of a Docker configuration file (`auths`). Throws KubestickError when the text is none. */
export function parseCredentials(text: string, file: string): Map<string, string> {
  const auths = (parseObject(Buffer.from(text), file)["auths"] ?? {}) as Record<string, { auth?: unknown }>;
  return new Map(
    Object.entries(auths).flatMap(([host, { auth }]): [string, string][] =>
      typeof auth === "string" ? [[host.replace(/^https?:\/\//, "").replace(/\/.*$/, ""), auth]] : [],
    ),
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
      this.downloader.bytes({ ...get, headers: { ...get.headers, accept: ACCEPT } }, MAX_JSON_BYTES),
    );
    if (wanted !== undefined && digestOf(data) !== wanted)
      throw new KubestickError(`${this.#base(reference)} sent another manifest for ${name} than ${wanted}`);
    const inside = parseObject(data, `the manifest of ${name}`)["mediaType"];
    const mediaType = typeof inside === "string" ? inside : String(headers["content-type"]).replace(/;.*/, "");
    if (![...INDEX_TYPES, ...MANIFEST_TYPES].includes(mediaType))
      throw new KubestickError(`${name} is of the media type ${mediaType}, which is no image`);
    return { descriptor: describe(mediaType, data), data };
  }

  /** The architecture that an image's config says it is for. Throws KubestickError when it says none. */
  async architecture(name: string, config: Descriptor): Promise<string> {
    const reference = parseReference(name);
    const { data } = await this.#authorized(reference, `blobs/${config.digest}`, (get) =>
      this.downloader.bytes(get, MAX_JSON_BYTES),
    );
    if (digestOf(data) !== config.digest) throw new KubestickError(`the registry sent another config of ${name}`);
    const arch = parseObject(data, `the config of ${name}`)["architecture"];
    if (typeof arch === "string") return arch;
    throw new KubestickError(`the config of ${name} names no architecture`);
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
            response.body.destroy();
            response.body.on("error", () => undefined);
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
      return attempt(this.#get(reference, path));
    }
  }

  #get(reference: Reference, path: string): Get {
    const authorization = this.#tokens.get(this.#scope(reference));
    return {
      url: `${this.#base(reference)}/v2/${reference.repository}/${path}`,
      ...(authorization ? { headers: { authorization } } : {}),
    };
  }

  #base({ host }: Reference): string {
    const mirror = this.options.mirrors.get(host) ?? this.options.mirrors.get("*");
    // Docker's registry has another name than its images say.
    return mirror ?? `https://${host === "docker.io" ? "registry-1.docker.io" : host}`;
  }

  #scope(reference: Reference): string {
    return `${reference.host}/${reference.repository}`;
  }

  async #authenticate(reference: Reference, challenge: string): Promise<void> {
    const base = new URL(this.#base(reference));
    const credentials = this.options.credentials.get(base.host) ?? this.options.credentials.get(reference.host);
    const [scheme = ""] = challenge.split(" ");
    if (scheme.toLowerCase() === "basic" && credentials) {
      this.#tokens.set(this.#scope(reference), `Basic ${credentials}`);
      return;
    }
    const parts = Object.fromEntries([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1]!, m[2]!]));
    if (scheme.toLowerCase() !== "bearer" || !parts["realm"])
      throw new HttpError(
        base.href,
        401,
        {},
        `it asks for credentials (${scheme || "it does not say how"}); give them with --registry-config FILE`,
      );
    const realm = new URL(parts["realm"], base);
    if (parts["service"]) realm.searchParams.set("service", parts["service"]);
    realm.searchParams.set("scope", `repository:${reference.repository}:pull`);
    const headers: Record<string, string> = credentials ? { authorization: `Basic ${credentials}` } : {};
    const { data } = await this.downloader.bytes({ url: realm.href, headers }, MAX_JSON_BYTES);
    const answer = parseObject(data, `the answer of ${realm.host}`);
    const token = answer["token"] ?? answer["access_token"];
    if (typeof token !== "string") throw new KubestickError(`${realm.host} gave no token for ${reference.name}`);
    this.#tokens.set(this.#scope(reference), `Bearer ${token}`);
  }
}
