import {
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  DOCKER_SCHEMA1,
  INDEX_TYPES,
  MANIFEST_TYPES,
  OCI_INDEX,
  OCI_MANIFEST,
} from "../constants/oci.ts";
import { KubestickError } from "../errors.ts";
import type { Downloader, Get } from "../net/download.ts";
import { HttpError } from "../net/failures.ts";
import { downloadBlob } from "./blob-download.ts";
import { type Descriptor, describe, digestOf } from "./descriptor.ts";
import { parseObject } from "./json.ts";
import { LIMITS } from "./limits.ts";
import { architectureOf, oldSchema } from "./manifest.ts";
import { endpointOf } from "./mirrors.ts";
import { parseReference, type Reference } from "./reference.ts";
import { RegistryLogin, type RegistryOptions } from "./registry-login.ts";
import type { Staging } from "./staging.ts";

const NOT_TAKEN = "it does not take the credentials that it was given, or not for this name";
const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_INDEX, DOCKER_MANIFEST].join(", ");

/** A client of registries (OCI distribution-spec 1.1, pull only), with token authentication. */
export class Registry {
  readonly downloader: Downloader;
  readonly #options: RegistryOptions;
  readonly #login: RegistryLogin;

  constructor(downloader: Downloader, options: RegistryOptions) {
    this.downloader = downloader;
    this.#options = options;
    this.#login = new RegistryLogin(downloader, options);
  }

  /** A manifest or index by tag or digest, verified where a digest was asked for. Throws HttpError, KubestickError. */
  async manifest(name: string, digest?: string): Promise<{ descriptor: Descriptor; data: Buffer }> {
    const reference = parseReference(name);
    const { url } = endpointOf(reference, this.#options.mirrors);
    const wanted = digest ?? reference.digest;
    const path = `manifests/${wanted ?? reference.tag}`;
    const { data, headers } = await this.#authorized(reference, path, (get) =>
      this.downloader.bytes({ ...get, headers: { ...get.headers, accept: ACCEPT } }, LIMITS.jsonBytes),
    );
    if (wanted !== undefined && digestOf(data) !== wanted)
      throw new KubestickError(`${url} sent another manifest for ${name} than ${wanted}`);
    const said = String(headers["content-type"] ?? "none")
      .replace(/;.*/, "")
      .slice(0, 200);
    const { mediaType: inside } = parseObject(data, `what ${url} sent as the manifest of ${name} (${said})`);
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

  /** Downloads a blob of an image into the staging directory; see downloadBlob. */
  async blob(name: string, blob: Descriptor, staging: Staging, progress: (bytes: number) => void): Promise<void> {
    const what = `a part of ${name}`;
    let got = 0;
    const report = (bytes: number) => {
      got = bytes;
      progress(bytes);
    };
    await this.#authorized(
      parseReference(name),
      `blobs/${blob.digest}`,
      (get) => downloadBlob(this.downloader, get, { ...blob, what }, staging, report),
      () => got,
    );
  }

  /**
   * Does something with a request; where that is refused, logs in as the answer says, and does it once more. A token lasts
   * some minutes, so what has `got` further since the last one may need another.
   */
  async #authorized<T>(
    reference: Reference,
    path: string,
    attempt: (get: Get) => Promise<T>,
    got: () => number = () => 0,
  ): Promise<T> {
    for (let before = -1; ; before = got()) {
      try {
        return await attempt(this.#get(reference, path));
      } catch (error) {
        if (!(error instanceof HttpError && error.status === 401)) throw error;
        if (got() <= before) throw new HttpError(error.url, 401, {}, NOT_TAKEN);
        await this.#login.answer(reference, error);
      }
    }
  }

  #get(reference: Reference, path: string): Get {
    const authorization = this.#login.header(reference);
    return {
      url: `${endpointOf(reference, this.#options.mirrors).url}/v2/${reference.repository}/${path}`,
      ...(authorization ? { headers: { authorization } } : {}),
    };
  }
}
