import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { requireEmbeddedLock } from "../../lib/bundle/embedded.ts";
import { missingForLab } from "../../lib/lab/up.ts";
import { EXECUTABLE, ROOT } from "../support/executable.ts";
import { fetchedBundle, isKept, unreachable } from "../support/fetched-bundle.ts";
import { freePort } from "../support/registry.ts";
import { smallBundle } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-quickstart-");
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

describe("quickstart", () => {
  test.skipIf(missingForLab() !== undefined)(
    "without components and without a network it is a dry run that says why, soon",
    async () => {
      const nobody = `http://127.0.0.1:${await freePort()}`;
      const flags = ["--registry-mirror", nobody, "--download-mirror", nobody];
      const child = Bun.spawn([process.execPath, join(ROOT, "test/quickstart.ts"), ...flags], {
        env: { ...process.env, KUBESTICK_E2E_BIN: "/none" },
        stdout: "pipe",
        stderr: "pipe",
      });
      const [stdout, status] = await Promise.all([new Response(child.stdout).text(), child.exited]);
      expect(status).toBe(0);
      expect(stdout).toMatch(
        /That was a dry run, because \/none lacks .*, and they cannot be downloaded: no answer from 127\.0\.0\.1:\d+ \(\w+\)\./,
      );
      expect(fs.existsSync(join(ROOT, "build/quickstart/etc/kubernetes/manifests/kube-apiserver.yaml"))).toBe(true);
      expect(fs.existsSync(join(ROOT, "build/quickstart-lab"))).toBe(false);
    },
  );

  test("a host that is there and says nothing is not waited for", async () => {
    const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
    const talking = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("no", { status: 500 }) });
    const [mute, here] = [`http://127.0.0.1:${silent.port}`, `http://127.0.0.1:${talking.port}`];
    const lock = requireEmbeddedLock("v1.36");
    try {
      expect(await unreachable(lock, { "registry-mirror": here, "download-mirror": here })).toBeUndefined();
      expect(await unreachable(lock, { "registry-mirror": mute, "download-mirror": here })).toBe(
        `no answer from 127.0.0.1:${silent.port} (nothing within 5 s)`,
      );
    } finally {
      silent.stop(true);
      await talking.stop(true);
    }
  }, 30_000);

  test("a kept bundle is used while it is whole, and belongs to its lock", () => {
    const kept = smallBundle(join(work, "kept.tar"));
    const asked: string[][] = [];
    const verify =
      (works: boolean) =>
      (...command: string[]) => {
        asked.push(command);
        return works;
      };
    expect(isKept(join(work, "none.tar"), verify(true))).toBe(false);
    expect(isKept(kept, verify(true))).toBe(true);
    expect(asked).toEqual([[EXECUTABLE, "bundle", "verify", kept]]);
    expect(isKept(kept, verify(false))).toBe(false);
    expect(fs.existsSync(kept)).toBe(false);
    const own = fetchedBundle({});
    expect(own.file).toMatch(/\/build\/kubernetes-v1\.36\.2-(amd64|arm64)-[0-9a-f]{8}\.tar$/);
    expect(own.command).toEqual([EXECUTABLE, "bundle", "create", own.file]);
    const other = join(ROOT, "bundles/kubernetes-v1.35.lock.yaml");
    const flags = { lock: other, "registry-mirror": "https://a" };
    expect(fetchedBundle(flags).file).toContain("/kubernetes-v1.35.6-");
    expect(fetchedBundle(flags).command.slice(4)).toEqual(["--lock", other, "--registry-mirror", "https://a"]);
  });
});
