import type { Bundle } from "../bundle/bundle.ts";
import { OCI_INDEX } from "../constants/oci.ts";
import { KubestickError, reason } from "../errors.ts";
import { digestOf, isDigest } from "../oci/descriptor.ts";
import { type Image, imageBlobs, indexText, listed } from "../oci/image.ts";
import { parseReference } from "../oci/reference.ts";
import { readJsonBlob } from "../oci/store.ts";
import type { Offered } from "./offer.ts";
import { OwnNames } from "./own-names.ts";

/** A running server. */
export interface Server {
  port: number;
  stop(): Promise<void>;
}

interface Manifest {
  mediaType: string;
  digest: string;
  size: number;
  /** Its bytes, where the bundle does not have it as a blob. */
  body?: Buffer;
}

/**
 * Offers a bundle to the LAN, read only: the files given, and its images as a registry (OCI distribution-spec 1.1, pull).
 * A repository is found with and without its registry's host before it, so that this can stand as any registry's
 * mirror. It answers to this host's own addresses and names, and to `names`; a page from elsewhere that a browser here has
 * open gets nothing by another name (DNS rebinding). Nothing large is read into memory. Throws KubestickError when
 * the address cannot be had.
 */
export function serve(
  bundle: Bundle,
  files: Record<string, Offered>,
  listen: { hostname: string; port: number; names?: string[] },
): Server {
  const { hostname, port, names = [] } = listen;
  const registry = new ReadOnlyRegistry(bundle);
  const own = new OwnNames([hostname, ...names]);
  let server: ReturnType<typeof Bun.serve>;
  try {
    server = Bun.serve({
      hostname,
      port,
      idleTimeout: 60,
      fetch: (request) => {
        const misdirected = own.refuse(request.headers.get("host"));
        if (misdirected) return new Response(`${misdirected.message}\n`, { status: misdirected.status });
        if (request.method !== "GET" && request.method !== "HEAD")
          return problem(405, "UNSUPPORTED", "this registry is read-only");
        const { pathname, query } = targetOf(request.url);
        if (pathname === "/v2" || pathname.startsWith("/v2/")) return registry.answer(request, pathname, query);
        const file = Object.hasOwn(files, pathname.slice(1)) ? files[pathname.slice(1)] : undefined;
        if (file)
          return "text" in file ? new Response(file.text) : sendFile(request, file.path, file.start, file.end, {});
        if (pathname === "/") return new Response(listing(files));
        return new Response("not found\n", { status: 404 });
      },
      error: (error) => new Response(`${error.message}\n`, { status: 500 }),
    });
  } catch (error) {
    throw new KubestickError(`cannot listen on ${hostname}:${port}: ${reason(error)}`, {
      hint: "choose another address or port with --listen HOST:PORT",
    });
  }
  return { port: server.port!, stop: () => server.stop(true) };
}

/** The path and query of a request; what stands before them depends on the Host header, which HTTP/1.0 need not have. */
function targetOf(url: string): { pathname: string; query: URLSearchParams } {
  const [target = ""] = url.replace(/^https?:\/\/[^/?#]*/i, "").split("#");
  const question = target.indexOf("?");
  const pathname = question < 0 ? target : target.slice(0, question);
  return { pathname: pathname || "/", query: new URLSearchParams(question < 0 ? "" : target.slice(question)) };
}

function listing(files: Record<string, Offered>): string {
  const lines = Object.entries(files).map(
    ([name, { description, sha256 }]) => `/${name}   ${description}${sha256 ? `   sha256:${sha256}` : ""}`,
  );
  return `${["kubestick offers:", ...lines, "/v2/   a registry with the bundle's images"].join("\n")}\n`;
}

class ReadOnlyRegistry {
  readonly #bundle: Bundle;
  readonly #tags = new Map<string, Map<string, Manifest>>();
  readonly #manifests = new Map<string, Manifest>();
  readonly #blobs = new Set<string>();

  constructor(bundle: Bundle) {
    this.#bundle = bundle;
    for (const name of new Set(bundle.images.map((image) => image.name))) {
      if (name === "") continue;
      const images = bundle.images.filter((image) => image.name === name);
      for (const image of images) {
        for (const { digest } of imageBlobs(image)) this.#blobs.add(digest);
        for (const manifest of [image.manifest, ...(image.indexes ?? [])])
          this.#manifests.set(manifest.digest, manifest);
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
  }

  answer(request: Request, pathname: string, query: URLSearchParams): Response {
    if (pathname === "/v2" || pathname === "/v2/") return Response.json({}, { headers: VERSION_HEADER });
    if (pathname === "/v2/_catalog") return Response.json({ repositories: [...this.#tags.keys()].sort() });
    const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(pathname);
    const [, name = "", kind, reference = ""] = match ?? [];
    // containerd tells a mirror which registry it stands for.
    const tags = this.#tags.get(`${query.get("ns") ?? ""}/${name}`) ?? this.#tags.get(name);
    if (!tags) return problem(404, "NAME_UNKNOWN", `this bundle has no ${name || pathname}`);
    if (kind === "tags") return Response.json({ name, tags: [...tags.keys()].sort() });
    if (kind === "blobs") {
      const extent =
        isDigest(reference) && this.#blobs.has(reference) ? this.#bundle.store.extent(reference) : undefined;
      if (!extent) return problem(404, "BLOB_UNKNOWN", `this bundle has no blob ${reference}`);
      return sendFile(request, this.#bundle.path, extent.offset, extent.offset + extent.size, {
        "docker-content-digest": reference,
      });
    }
    const manifest = tags.get(reference) ?? this.#manifests.get(reference);
    if (!manifest) return problem(404, "MANIFEST_UNKNOWN", `this bundle has no ${name}:${reference}`);
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

const VERSION_HEADER = { "docker-distribution-api-version": "registry/2.0" };

function indexOf(images: Image[]): Manifest {
  const body = indexText(images.map(listed));
  return { mediaType: OCI_INDEX, digest: digestOf(body), size: body.length, body };
}

/** An error as the distribution specification words it. */
function problem(status: number, code: string, message: string): Response {
  return Response.json({ errors: [{ code, message }] }, { status, headers: VERSION_HEADER });
}

/** A stretch of a file, or the single range of it that the client asks for (RFC 9110 §14). */
function sendFile(
  request: Request,
  path: string,
  start: number,
  end: number,
  headers: Record<string, string>,
): Response {
  const file = Bun.file(path);
  const total = end - start;
  const range = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "");
  let [from, to] = [0, total];
  if (range) {
    from = range[1] ? Number(range[1]) : Math.max(0, total - Number(range[2]));
    to = range[1] && range[2] ? Math.min(total, Number(range[2]) + 1) : total;
    if (from >= to) return new Response(null, { status: 416, headers: { "content-range": `bytes */${total}` } });
  }
  const part = file.slice(start + from, start + to);
  return new Response(request.method === "HEAD" ? null : part, {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      "content-type": "application/octet-stream",
      "content-length": String(to - from),
      "accept-ranges": "bytes",
      ...(range ? { "content-range": `bytes ${from}-${to - 1}/${total}` } : {}),
    },
  });
}
