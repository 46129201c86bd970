import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { basename, dirname, join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { hasBinary } from "../support/binaries.ts";
import { ROOT } from "../support/executable.ts";
import { fetchedBundle } from "../support/fetched-bundle.ts";
import { WORK } from "../support/node.ts";
import { publishHostBinaries, publishImages, writeLock } from "../support/offline.ts";
import { TestRegistry } from "../support/registry.ts";

const missing = ["docker-registry", "skopeo"].filter((name) => !findProgram(name));
const work = join(WORK, "quickstart");

/** Runs the quickstart as on a machine that has no components; gives what it printed. */
async function quickstart(...flags: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, join(ROOT, "test/quickstart.ts"), ...flags], {
    env: { ...process.env, KUBESTICK_E2E_BIN: "/none" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ status: await child.exited, stderr: stderr.includes("error:") ? stderr : "" }).toMatchObject({ status: 0 });
  return stdout;
}

describe.skipIf(missing.length > 0 || !hasBinary("coredns"))("quickstart where there is a network", () => {
  const lock = join(work, "lock.yaml");
  let registry: TestRegistry | undefined;
  afterAll(() => {
    registry?.stop();
    fs.rmSync(work, { recursive: true, force: true });
  });

  test("makes a bundle of what the lock's hosts have, goes on after a failure, and brings up a cluster with it", async () => {
    fs.rmSync(work, { recursive: true, force: true });
    fs.mkdirSync(work, { recursive: true });
    const published = join(work, "published");
    const binaries = publishHostBinaries(published);
    registry = await TestRegistry.start(join(work, "registry"));
    writeLock(lock, publishImages(WORK, registry), binaries, "https://downloads.example.org/kubernetes");
    const asked: string[] = [];
    let broken = "kubelet";
    const site = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: (request) => {
        const name = basename(new URL(request.url).pathname);
        // Whether it is there at all, and how long a file is, may be asked again.
        if (name !== "" && request.headers.get("range") !== "bytes=0-0") asked.push(name);
        const there = name !== "" && name !== broken && fs.existsSync(join(published, name));
        return there ? new Response(Bun.file(join(published, name))) : new Response("not here", { status: 404 });
      },
    });
    const flags = { lock, "registry-mirror": registry.url, "download-mirror": `http://127.0.0.1:${site.port}` };
    const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
    const { file } = fetchedBundle(flags);
    try {
      const first = await quickstart(...words);
      expect(first).toContain("the bundle could not be made of downloads, as said above; what has come is kept");
      expect([fs.existsSync(file), asked.includes("kubelet")]).toEqual([false, true]);
      const before = new Set(asked.filter((name) => name !== "kubelet"));
      expect(before.size).toBeGreaterThan(0);
      asked.length = 0;
      broken = "";
      const second = await quickstart(...words);
      expect(second).toContain("That was a real cluster: two bare nodes");
      expect(second).toMatch(/kube-system +coredns-\S+ /);
      expect(second).toContain(`The bundle is kept for the next time, and for boards: build/${basename(file)}`);
      expect(asked).toContain("kubelet");
      expect(asked.filter((name) => before.has(name))).toEqual([]);
      expect(fs.existsSync(file)).toBe(true);
    } finally {
      fs.rmSync(file, { force: true });
      fs.rmSync(join(dirname(file), `.${basename(file)}.blobs`), { recursive: true, force: true });
      await site.stop(true);
    }
  });
});
