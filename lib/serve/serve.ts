import type { Bundle } from "../bundle/bundle.ts";
import { KubestickError, reason } from "../errors.ts";
import type { Offered } from "./offer.ts";
import { OwnNames } from "./own-names.ts";
import { BundleRegistry, problem } from "./registry.ts";
import { sendFile } from "./send-file.ts";

/** A running server. */
export interface Server {
  port: number;
  /** Ends every connection. */
  stop(): Promise<void>;
}

/** Where a server listens; `names` are those that it answers to besides this host's own. */
export interface Listen {
  hostname: string;
  port: number;
  names?: string[];
}

/**
 * Offers a bundle to the LAN, read only: the files given, and its images as a registry. It answers to this host's own
 * addresses and names, and to `names`; a page from elsewhere that a browser here has open gets nothing by another name (DNS
 * rebinding). Nothing large is read into memory. Throws KubestickError when the address cannot be had.
 */
export function serve(bundle: Bundle, files: Record<string, Offered>, listen: Listen): Server {
  const { hostname, port, names = [] } = listen;
  const registry = new BundleRegistry(bundle);
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
        if (file) return "text" in file ? new Response(file.text) : sendFile(request, file);
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
