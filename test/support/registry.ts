import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { basename, join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { until } from "./node.ts";

/** A port of loopback that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Debian's docker-registry on loopback, its data in a directory. */
export class TestRegistry {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(
    readonly port: number,
    child: ChildProcess,
  ) {
    this.url = `http://127.0.0.1:${port}`;
    this.#child = child;
  }

  static async start(work: string): Promise<TestRegistry> {
    const port = await freePort();
    fs.mkdirSync(work, { recursive: true });
    const config = join(work, "registry.yml");
    fs.writeFileSync(
      config,
      `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${work}/data}, cache: {blobdescriptor: inmemory}}\nhttp: {addr: "127.0.0.1:${port}"}\n`,
    );
    const log = fs.openSync(join(work, "registry.log"), "w");
    const child = spawn("docker-registry", ["serve", config], { stdio: ["ignore", log, log] });
    const registry = new TestRegistry(port, child);
    await until(
      () =>
        fetch(`${registry.url}/v2/`).then(
          (r) => r.ok,
          () => false,
        ),
      15_000,
      "docker-registry",
    );
    return registry;
  }

  /** Copies one image of an archive (`oci-archive:FILE:NAME`) to a repository and tag. */
  push(source: string, repositoryAndTag: string): void {
    run(
      "skopeo",
      ["copy", "--quiet", "--dest-tls-verify=false", source, `docker://127.0.0.1:${this.port}/${repositoryAndTag}`],
      300_000,
    );
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}

/** A download site on loopback: any URL path ends in a file of a directory, and `FILE.sha256` and the like are made. */
export function downloadSite(filesFor: (url: string) => string[]): { url: string; stop(): void } {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const name = decodeURIComponent(basename(new URL(request.url).pathname));
      const files = filesFor(request.url);
      const find = (wanted: string) => files.find((path) => basename(path) === wanted);
      const exact = find(name);
      if (exact) return new Response(Bun.file(exact));
      const summed = find(name.replace(/\.sha256(sum)?$/, ""));
      if (summed) return new Response(`${sha256File(summed)}  ${basename(summed)}\n`);
      // runc publishes one list for all of its files.
      const list = files.filter(
        (path) => name.endsWith("sha256sum") && basename(path).startsWith(`${name.split(".")[0]}.`),
      );
      if (list.length > 0) return new Response(list.map((p) => `${sha256File(p)}  ${basename(p)}\n`).join(""));
      return new Response("not found", { status: 404 });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, stop: () => void server.stop(true) };
}

/** A file's SHA-256 in hexadecimal. */
export function sha256File(path: string): string {
  const hash = createHash("sha256");
  const fd = fs.openSync(path, "r");
  const buffer = Buffer.allocUnsafe(1024 * 1024);
  for (let n = fs.readSync(fd, buffer); n > 0; n = fs.readSync(fd, buffer)) hash.update(buffer.subarray(0, n));
  fs.closeSync(fd);
  return hash.digest("hex");
}
