import type { Bundle } from "../bundle/bundle.ts";
import { OCI_INDEX } from "../constants/oci.ts";
import { type Descriptor, describe, isDigest } from "../oci/descriptor.ts";
import { type Image, imageBlobs, indexEntry, indexText } from "../oci/image.ts";
import { parseReference } from "../oci/reference.ts";
import { readJsonBlob } from "../oci/store.ts";
import { sendFile } from "./send-file.ts";

const VERSION_HEADER = { "docker-distribution-api-version": "registry/2.0" };

/** A manifest or index; with its bytes, where the bundle does not have it as a blob. */
type Manifest = Descriptor & { body?: Buffer };

/**
 * A bundle's images as a registry that can only be read (OCI distribution-spec 1.1, pull). A repository is found with and
 * without its registry's host before it, so that this can stand as any registry's mirror.
 */
export class BundleRegistry {
  readonly #bundle: Bundle;
  readonly #tags = new Map<string, Map<string, Manifest>>();
  readonly #manifests = new Map<string, Manifest>();
  readonly #blobs = new Set<string>();

  constructor(bundle: Bundle) {
    this.#bundle = bundle;
    for (const name of new Set(bundle.images.map((image) => image.name)))
      if (name !== "")
        this.#add(
          name,
          bundle.images.filter((image) => image.name === name),
        );
  }

  #add(name: string, images: Image[]): void {
    for (const image of images) {
      for (const { digest } of imageBlobs(image)) this.#blobs.add(digest);
      for (const manifest of [image.manifest, ...(image.indexes ?? [])]) this.#manifests.set(manifest.digest, manifest);
    }
    const tagged = images.length === 1 ? images[0]!.manifest : indexOf(images);
    this.#manifests.set(tagged.digest, tagged);
    const { host, repository, tag } = parseReference(name);
    for (const path of [repository, `${host}/${repository}`]) {
      const tags = this.#tags.get(path) ?? new Map<string, Manifest>();
      if (tag !== undefined) tags.set(tag, tagged);
      this.#tags.set(path, tags);
    }
  }

  /** Answers a GET or HEAD of a path below /v2. */
  answer(request: Request, pathname: string, query: URLSearchParams): Response {
    if (pathname === "/v2" || pathname === "/v2/") return Response.json({}, { headers: VERSION_HEADER });
    if (pathname === "/v2/_catalog") return Response.json({ repositories: [...this.#tags.keys()].sort() });
    const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(pathname);
    const [, name = "", kind, reference = ""] = match ?? [];
    // containerd tells a mirror which registry it stands for.
    const tags = this.#tags.get(`${query.get("ns") ?? ""}/${name}`) ?? this.#tags.get(name);
    if (!tags) return problem(404, "NAME_UNKNOWN", `this bundle has no ${name || pathname}`);
    if (kind === "tags") return Response.json({ name, tags: [...tags.keys()].sort() });
    if (kind === "blobs") return this.#blob(request, reference);
    const manifest = tags.get(reference) ?? this.#manifests.get(reference);
    if (!manifest) return problem(404, "MANIFEST_UNKNOWN", `this bundle has no ${name}:${reference}`);
    return this.#manifest(request, manifest);
  }

  #blob(request: Request, digest: string): Response {
    const extent = isDigest(digest) && this.#blobs.has(digest) ? this.#bundle.store.extent(digest) : undefined;
    if (!extent) return problem(404, "BLOB_UNKNOWN", `this bundle has no blob ${digest}`);
    const stretch = { path: this.#bundle.path, start: extent.offset, end: extent.offset + extent.size };
    return sendFile(request, stretch, { "docker-content-digest": digest });
  }

  #manifest(request: Request, manifest: Manifest): Response {
    const { mediaType, digest, size } = manifest;
    const body = request.method === "HEAD" ? null : (manifest.body ?? readJsonBlob(this.#bundle.store, manifest));
    return new Response(body && new Uint8Array(body), {
      headers: {
        ...VERSION_HEADER,
        "content-type": mediaType,
        "content-length": String(size),
        "docker-content-digest": digest,
      },
    });
  }
}

function indexOf(images: Image[]): Manifest {
  const body = indexText(images.map(indexEntry));
  return { ...describe(OCI_INDEX, body), body };
}

/** An error as the distribution specification words it. */
export function problem(status: number, code: string, message: string): Response {
  return Response.json({ errors: [{ code, message }] }, { status, headers: VERSION_HEADER });
}
