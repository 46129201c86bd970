import { INDEX_TYPES, MANIFEST_TYPES, OCI_INDEX } from "../constants/oci.ts";
import { KubestickError, reason } from "../host/errors.ts";
import type { Bundle } from "./bundle.ts";
import { digestOf, isDigest } from "./descriptor.ts";
import { parseReference } from "./reference.ts";

/** A running server. */
export interface Server {
  port: number;
  stop(): Promise<void>;
}

/** What is offered besides the registry: paths of files by their URL path. */
export interface Offered {
  path: string;
  /** The stretch of the file in bytes; the whole where it is left out. */
  start?: number;
  end?: number;
  description: string;
}

interface Manifest {
  mediaType: string;
  body: Buffer;
}

/**
 * Offers a bundle to the LAN, read only: the files given, and its images as a registry (OCI distribution-spec 1.1, pull).
 * A repository is found with and without its registry's host before it, so that this can stand as any registry's
 * mirror. Nothing is read into memory but manifests. Throws KubestickError when the address cannot be had.
 */
export function serve(
  bundle: Bundle,
  files: Record<string, Offered>,
  listen: { hostname: string; port: number },
): Server {
  const registry = new ReadOnlyRegistry(bundle);
  let server: ReturnType<typeof Bun.serve>;
  try {
    server = Bun.serve({
      ...listen,
      idleTimeout: 60,
      fetch: (request) => {
        if (request.method !== "GET" && request.method !== "HEAD")
          return problem(405, "UNSUPPORTED", "this registry is read-only");
        const { pathname } = new URL(request.url);
        if (pathname === "/v2" || pathname.startsWith("/v2/")) return registry.answer(request, pathname);
        const file = Object.hasOwn(files, pathname.slice(1)) ? files[pathname.slice(1)] : undefined;
        if (file) return sendFile(request, file.path, file.start ?? 0, file.end, {});
        if (pathname === "/") return new Response(listing(files));
        return new Response("not found\n", { status: 404 });
      },
      error: (error) => new Response(`${error.message}\n`, { status: 500 }),
    });
  } catch (error) {
    throw new KubestickError(`cannot listen on ${listen.hostname}:${listen.port}: ${reason(error)}`, {
      hint: "choose another address or port with --listen HOST:PORT",
    });
  }
  return { port: server.port!, stop: () => server.stop(true) };
}

function listing(files: Record<string, Offered>): string {
  const lines = Object.entries(files).map(([name, { description }]) => `/${name}   ${description}`);
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
      const images = bundle.images.filter((image) => image.name === name);
      for (const { manifest, config, layers } of images) {
        this.#keep(manifest.mediaType, this.#read(manifest.digest));
        for (const { digest } of [config, ...layers]) this.#blobs.add(digest);
      }
      const [first] = images;
      const tagged =
        images.length === 1
          ? this.#manifests.get(first!.manifest.digest)!
          : this.#keep(OCI_INDEX, indexOf(images.map(({ manifest, arch }) => ({ ...manifest, arch }))));
      const { host, repository, tag, digest } = parseReference(name);
      for (const path of [repository, `${host}/${repository}`]) {
        const tags = this.#tags.get(path) ?? new Map<string, Manifest>();
        tags.set(tag ?? digest!, tagged);
        this.#tags.set(path, tags);
      }
    }
  }

  #read(digest: string): Buffer {
    return Buffer.concat(Array.from(this.#bundle.store.chunks(digest), (chunk) => Buffer.from(chunk)));
  }

  #keep(mediaType: string, body: Buffer): Manifest {
    const manifest = { mediaType, body };
    this.#manifests.set(digestOf(body), manifest);
    return manifest;
  }

  answer(request: Request, pathname: string): Response {
    if (pathname === "/v2" || pathname === "/v2/") return Response.json({}, { headers: VERSION_HEADER });
    if (pathname === "/v2/_catalog") return Response.json({ repositories: [...this.#tags.keys()].sort() });
    const match = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^/]+)$/.exec(pathname);
    const [, name = "", kind, reference = ""] = match ?? [];
    const tags = this.#tags.get(name);
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
    return new Response(request.method === "HEAD" ? null : new Uint8Array(manifest.body), {
      headers: {
        ...VERSION_HEADER,
        "content-type": manifest.mediaType,
        "content-length": String(manifest.body.length),
        "docker-content-digest": digestOf(manifest.body),
      },
    });
  }
}

const VERSION_HEADER = { "docker-distribution-api-version": "registry/2.0" };

function indexOf(manifests: { mediaType: string; digest: string; size: number; arch: string }[]): Buffer {
  const listed = manifests
    .filter(({ mediaType }) => [...MANIFEST_TYPES, ...INDEX_TYPES].includes(mediaType))
    .map(({ mediaType, digest, size, arch }) => ({
      mediaType,
      digest,
      size,
      platform: { architecture: arch, os: "linux" },
    }));
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: listed }));
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
  end: number | undefined,
  headers: Record<string, string>,
): Response {
  const file = Bun.file(path);
  const total = (end ?? file.size) - start;
  const range = /^bytes=(\d*)-(\d*)$/.exec(request.headers.get("range") ?? "");
  let [from, to] = [0, total];
  if (range && (range[1] || range[2])) {
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
