import { digestOf } from "../../lib/oci/descriptor.ts";
import type { LayoutMaker, Listed } from "./layouts.ts";

/** How a registry of one's own asks for a login. */
export type Asking = "nothing" | "basic" | "bearer" | { challenge: string };

/** A registry on loopback with the blobs of a layout, which asks for `u:p` as it is told and notes what it was sent. */
export class RegistryDouble {
  readonly #server: ReturnType<typeof Bun.serve>;
  readonly tags: Record<string, Listed> = {};
  /** The Authorization header of each request, where it had one. */
  readonly authorizations: string[] = [];
  /** Answers instead, for the requests that it has an answer for. */
  instead: (path: string) => Response | undefined = () => undefined;

  constructor(
    readonly maker: LayoutMaker,
    readonly asking: Asking = "nothing",
  ) {
    this.#server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => this.answer(request) });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  /** What it answers to a request. */
  answer(request: Request): Response {
    const { pathname } = new URL(request.url);
    const sent = request.headers.get("authorization");
    if (sent !== null) this.authorizations.push(sent);
    const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
    if (pathname === "/token")
      return sent === basic ? Response.json({ token: "good" }) : new Response("", { status: 401 });
    const wanted = this.asking === "bearer" ? "Bearer good" : basic;
    if (this.asking !== "nothing" && sent !== wanted)
      return new Response("", { status: 401, headers: { "www-authenticate": this.#challenge() } });
    const other = this.instead(pathname);
    if (other) return other;
    const [, name, kind, reference = ""] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    const listed = kind === "manifests" ? this.tags[`${name}:${reference}`] : undefined;
    const data = this.maker.blobs.get(listed?.digest ?? reference);
    if (!data) return new Response("", { status: 404 });
    const mediaType =
      listed?.mediaType ?? (JSON.parse(kind === "manifests" ? data.toString() : "{}").mediaType as string);
    const headers = {
      "content-type": mediaType ?? "application/octet-stream",
      "docker-content-digest": digestOf(data),
    };
    return new Response(new Uint8Array(data), { headers });
  }

  #challenge(): string {
    if (typeof this.asking === "object") return this.asking.challenge;
    return this.asking === "bearer" ? `Bearer realm="${this.url}/token",service="test"` : 'Basic realm="test"';
  }
}
