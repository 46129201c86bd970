import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { parseLock } from "../../lib/bundle/lock.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run } from "../../lib/host/process.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { sha256File, type TestRegistry } from "../support/registry.ts";
import { UPSTREAM_IMAGES as NAMES } from "../support/stand-ins.ts";
import { kubestick, standInUpstream } from "../support/upstream.ts";

const missing = ["docker-registry", "skopeo"].filter((name) => !findProgram(name));
const work = fs.mkdtempSync("/tmp/kubestick-bundle-");
const at = (name: string) => join(work, name);

async function succeeds(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await kubestick(...args);
  expect({ args, status, stderr: status === 0 ? "" : stderr }).toEqual({ args, status: 0, stderr: "" });
  return stdout;
}

describe.skipIf(missing.length > 0)("bundles from a real registry", () => {
  let registry: TestRegistry;
  let upstream: Awaited<ReturnType<typeof standInUpstream>>;
  const lock = at("kubernetes-v1.36.lock.yaml");
  const online = () => upstream.flags;
  const lockFor = (archs: string) =>
    succeeds(
      "bundle",
      "lock",
      "--kubernetes-version=v1.36.2",
      `--arch=${archs}`,
      "--lock",
      lock,
      "--fresh",
      ...online(),
    );

  beforeAll(async () => {
    upstream = await standInUpstream(work);
    registry = upstream.registry;
  });
  afterAll(() => {
    upstream?.stop();
    fs.rmSync(work, { recursive: true, force: true });
  });

  test("bundle lock pins images and binaries, and changes nothing that is pinned", async () => {
    await lockFor("amd64");
    const first = fs.readFileSync(lock, "utf8");
    const parsed = parseLock(first, lock);
    expect(parsed.images.map((image) => image.name)).toEqual([...NAMES.map((n) => `registry.k8s.io/${n}`)].sort());
    const inspected = run("skopeo", [
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://127.0.0.1:${registry.port}/pause:3.10.2`,
    ]);
    const pause = parsed.images.find((image) => image.name.includes("/pause:"))!;
    expect(inspected).toContain(pause.manifests["amd64"]!.digest);
    expect(parsed.binaries.find((b) => b.name === "runc")!.files["amd64"]!.sha256).toBe(
      sha256File(at("published/amd64/runc.amd64")),
    );
    // Upstream moves a tag; what is pinned stays.
    run("skopeo", [
      "copy",
      "-q",
      "--dest-tls-verify=false",
      `oci-archive:${at("amd64.tar")}:registry.k8s.io/etcd:3.6.8-0`,
      `docker://127.0.0.1:${registry.port}/pause:3.10.2`,
    ]);
    await lockFor("amd64");
    expect(fs.readFileSync(lock, "utf8")).toBe(first);
    run("skopeo", [
      "copy",
      "-q",
      "--all",
      "--dest-tls-verify=false",
      `oci-archive:${at("both.tar")}:registry.k8s.io/pause:3.10.2`,
      `docker://127.0.0.1:${registry.port}/pause:3.10.2`,
    ]);
    await lockFor("amd64,arm64");
    const both = parseLock(fs.readFileSync(lock, "utf8"), lock);
    expect(both.images.every((image) => image.manifests["amd64"] && image.manifests["arm64"])).toBe(true);
    expect(both.images.find((i) => i.name.includes("/pause:"))!.manifests["amd64"]).toEqual(pause.manifests["amd64"]!);
  });

  test("the same lock gives the same bytes, and verify reads them all", async () => {
    for (const name of ["one.tar", "two.tar"])
      await succeeds("bundle", "create", at(name), "--lock", lock, "--arch", "amd64,arm64", ...online());
    expect(sha256File(at("one.tar"))).toBe(sha256File(at("two.tar")));
    expect(fs.readdirSync(work).filter((name) => name.startsWith("."))).toEqual([]);
    const shown = JSON.parse(await succeeds("bundle", "inspect", at("one.tar"), "--output", "json"));
    expect(shown).toMatchObject({
      kubernetesVersion: "v1.36.2",
      architectures: ["amd64", "arm64"],
      images: 14,
      binaries: 12,
    });
    expect(JSON.parse(await succeeds("bundle", "verify", at("one.tar"), "-o", "json"))).toMatchObject({ ok: true });
    // From local content alone, with the same lock, the bytes are the same again.
    await succeeds(
      "bundle",
      "create",
      at("three.tar"),
      "--lock",
      lock,
      "--arch",
      "amd64,arm64",
      "--offline",
      "--from",
      at("one.tar"),
    );
    expect(sha256File(at("three.tar"))).toBe(sha256File(at("one.tar")));
  });

  test("skopeo reads it unaided, and copies out and in keep the digests", async () => {
    const name = "registry.k8s.io/coredns/coredns:v1.14.2";
    await succeeds("bundle", "create", at("amd64-only.tar"), "--lock", lock, "--arch", "amd64", ...online());
    const digest = run("skopeo", [
      "inspect",
      "--format",
      "{{.Digest}}",
      `oci-archive:${at("amd64-only.tar")}:${name}`,
    ]).trim();
    const pinned = parseLock(fs.readFileSync(lock, "utf8"), lock).images.find((image) => image.name === name)!;
    expect(digest).toBe(pinned.manifests["amd64"]!.digest);
    run("skopeo", [
      "copy",
      "-q",
      "--preserve-digests",
      `oci-archive:${at("amd64-only.tar")}:${name}`,
      `oci-archive:${at("out.tar")}:${name}`,
    ]);
    await succeeds("bundle", "create", at("back.tar"), "--from", at("out.tar"), "--arch", "amd64");
    const back = JSON.parse(await succeeds("bundle", "list", at("back.tar"), "-o", "json")).items;
    expect(back).toEqual([expect.objectContaining({ name, digest, arch: "amd64" })]);
    // docker save's format knows no digests; the image inside must be the same.
    run("skopeo", [
      "copy",
      "-q",
      `oci-archive:${at("amd64-only.tar")}:${name}`,
      `docker-archive:${at("docker.tar")}:${name}`,
    ]);
    await succeeds("bundle", "create", at("from-docker.tar"), "--from", at("docker.tar"), "--arch", "amd64");
    const config = (file: string) => run("skopeo", ["inspect", "--config", `oci-archive:${file}:${name}`]);
    expect(JSON.parse(config(at("from-docker.tar"))).rootfs).toEqual(JSON.parse(config(at("amd64-only.tar"))).rootfs);
  });

  test("serve is a registry that skopeo pulls from, and lends the bundle in ranges", async () => {
    const port = 20_000 + (process.pid % 20_000);
    const server = Bun.spawn([...KUBESTICK, "bundle", "serve", at("one.tar"), "--listen", `127.0.0.1:${port}`], {
      stdout: "pipe",
      stderr: "pipe",
    });
    try {
      const base = `http://127.0.0.1:${port}`;
      for (
        let i = 0;
        i < 100 &&
        !(await fetch(base).then(
          (r) => r.ok,
          () => false,
        ));
        i++
      )
        await Bun.sleep(100);
      for (const repository of ["pause", "registry.k8s.io/pause"])
        run("skopeo", [
          "copy",
          "-q",
          "--all",
          "--preserve-digests",
          "--src-tls-verify=false",
          `docker://127.0.0.1:${port}/${repository}:3.10.2`,
          `dir:${at(`pulled-${repository.length}`)}`,
        ]);
      const part = await fetch(`${base}/bundle.tar`, { headers: { range: "bytes=0-9" } });
      expect([part.status, await part.text()]).toEqual([206, "oci-layout"]);
      const whole = await fetch(`${base}/bundle.tar`);
      fs.writeFileSync(at("fetched.tar"), Buffer.from(await whole.arrayBuffer()));
      expect(sha256File(at("fetched.tar"))).toBe(sha256File(at("one.tar")));
      expect((await fetch(`${base}/v2/pause/manifests/none`)).status).toBe(404);
      expect((await fetch(`${base}/v2/pause/blobs/sha256:${"0".repeat(64)}`)).status).toBe(404);
      expect((await fetch(`${base}/v2/pause/manifests/3.10.2`, { method: "PUT" })).status).toBe(405);
      expect((await fetch(`${base}/../../etc/passwd`)).status).toBe(404);
    } finally {
      server.kill();
      await server.exited;
    }
  });

  test("zstd makes layers smaller, says so, and keeps the contents", async () => {
    const out = await succeeds(
      "bundle",
      "create",
      at("zstd.tar"),
      "--lock",
      lock,
      "--arch",
      "amd64",
      "--zstd",
      "--offline",
      "--from",
      at("one.tar"),
    );
    expect(out).toMatch(/zstd: layers went from .* to .*, [1-9][\d.]*% less/);
    expect(fs.statSync(at("zstd.tar")).size).toBeLessThan(fs.statSync(at("amd64-only.tar")).size);
    const name = "registry.k8s.io/pause:3.10.2";
    run("skopeo", ["copy", "-q", `oci-archive:${at("zstd.tar")}:${name}`, `dir:${at("zstd-out")}`]);
    const config = (file: string) =>
      JSON.parse(run("skopeo", ["inspect", "--config", `oci-archive:${at(file)}:${name}`]));
    expect(config("zstd.tar")).toEqual(config("amd64-only.tar"));
  });

  test("the user's images and manifests go in too", async () => {
    const manifest = at("net.yaml");
    fs.writeFileSync(
      manifest,
      "apiVersion: apps/v1\nkind: DaemonSet\nspec:\n  template: {spec: {containers: [{name: a, image: 'registry.k8s.io/pause:3.10.2'}]}}\n",
    );
    await succeeds(
      "bundle",
      "create",
      at("own.tar"),
      "--from",
      at("amd64.tar"),
      "--arch",
      "amd64",
      "--manifest",
      manifest,
      "--image",
      "registry.k8s.io/etcd:3.6.8-0",
      ...online(),
    );
    const { items } = JSON.parse(await succeeds("bundle", "list", at("own.tar"), "-o", "json"));
    expect(items).toContainEqual(expect.objectContaining({ kind: "manifest", name: "net.yaml" }));
    await succeeds("bundle", "extract", at("own.tar"), at("extracted"));
    expect(fs.readFileSync(at("extracted/manifests/net.yaml"), "utf8")).toBe(fs.readFileSync(manifest, "utf8"));
  });

  test("a registry that cuts the line is asked for the rest", async () => {
    let cuts = 0;
    const flaky = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        const url = new URL(request.url);
        const answer = await fetch(`${registry.url}${url.pathname}`, {
          headers: request.headers,
          method: request.method,
        });
        const range = request.headers.get("range");
        const body = Buffer.from(await answer.arrayBuffer());
        if (!url.pathname.includes("/blobs/") || body.length < 100_000)
          return new Response(body, { status: answer.status, headers: strip(answer.headers) });
        if (!range || range === "bytes=0-0") cuts++;
        // Half of what was asked for, then the end, although the header promised more.
        const half = body.subarray(0, Math.ceil(body.length / 2));
        return new Response(
          new ReadableStream({
            start: (c) => {
              c.enqueue(new Uint8Array(half));
              c.close();
            },
          }),
          { status: answer.status, headers: strip(answer.headers) },
        );
      },
    });
    try {
      await succeeds(
        "bundle",
        "create",
        at("flaky.tar"),
        "--lock",
        lock,
        "--arch",
        "amd64",
        ...online(),
        "--registry-mirror",
        `registry.k8s.io=http://127.0.0.1:${flaky.port}`,
      );
      expect(cuts).toBeGreaterThan(0);
      expect(sha256File(at("flaky.tar"))).toBe(sha256File(at("amd64-only.tar")));
    } finally {
      await flaky.stop(true);
    }
  });

  test("a mirror that changes a blob, and plain HTTP to another host, are refused", async () => {
    const lying = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: async (request) => {
        const answer = await fetch(`${registry.url}${new URL(request.url).pathname}`, { headers: request.headers });
        const body = Buffer.from(await answer.arrayBuffer());
        if (body.length > 100_000) body[50_000]! ^= 1;
        return new Response(body, { status: answer.status, headers: strip(answer.headers) });
      },
    });
    try {
      const out = await kubestick(
        "bundle",
        "create",
        at("lied.tar"),
        "--lock",
        lock,
        "--arch",
        "amd64",
        ...online(),
        "--registry-mirror",
        `registry.k8s.io=http://127.0.0.1:${lying.port}`,
      );
      expect(out.status).toBe(1);
      expect(out.stderr).toMatch(/the download of .* does not match sha256:[0-9a-f]{64}/);
      expect(fs.existsSync(at("lied.tar"))).toBe(false);
    } finally {
      await lying.stop(true);
    }
    const plain = await kubestick(
      "bundle",
      "create",
      at("lied.tar"),
      "--lock",
      lock,
      "--arch",
      "amd64",
      "--registry-mirror",
      "http://registry.invalid",
    );
    expect([plain.status, plain.stderr]).toEqual([1, expect.stringContaining("--insecure-registry registry.invalid")]);
  });
});

function strip(headers: Headers): Headers {
  const kept = new Headers(headers);
  for (const name of ["content-length", "content-encoding", "transfer-encoding"]) kept.delete(name);
  return kept;
}
