import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import * as fs from "node:fs";
import { connect } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import { run } from "../../lib/host/process.ts";
import { formatSums, signSums } from "../../lib/release/sums.ts";
import { offerFiles } from "../../lib/serve/offer.ts";
import { type Server, serve } from "../../lib/serve/serve.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { sha256File } from "../support/registry.ts";
import { smallBundle } from "../support/small-bundle.ts";

const work = fs.mkdtempSync("/tmp/kubestick-serve-");
const at = (name: string) => join(work, name);
const bundle = Bundle.open(smallBundle(at("b.tar")));
afterAll(() => {
  bundle.close();
  fs.rmSync(work, { recursive: true, force: true });
});

/** Sends bytes as they are and gives status, headers and body of the answer. */
function raw(port: number, text: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let got = "";
    const end = () => {
      socket.destroy();
      const [head = "", ...body] = got.split("\r\n\r\n");
      resolve({ status: Number(/^HTTP\/1\.\d (\d+)/.exec(head)?.[1]), body: body.join("\r\n\r\n") });
    };
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      const length = Number(/content-length: (\d+)/i.exec(got)?.[1] ?? 0);
      if (got.includes("\r\n\r\n") && got.length >= got.indexOf("\r\n\r\n") + 4 + length) end();
    });
    socket.on("end", end);
    socket.on("error", reject);
    socket.setTimeout(5_000, end);
    socket.write(text);
  });
}

describe("who is answered", () => {
  let server: Server;
  beforeAll(() => {
    server = serve(bundle, offerFiles(bundle), {
      hostname: "127.0.0.1",
      port: 0,
      names: ["Stick.example", "192.0.2.7"],
    });
  });
  afterAll(() => server.stop());
  const get = (host: string, path = "/v2/pause/tags/list") =>
    raw(server.port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

  test("this host's own addresses and names, and those that were given", async () => {
    const own = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .map(({ address, family }) => (family === "IPv6" ? `[${address.replace(/%.*/, "")}]` : address));
    for (const host of [
      ...own,
      "127.0.0.1:5080",
      "[::1]:5080",
      "LOCALHOST",
      hostname(),
      "stick.EXAMPLE.:80",
      "192.0.2.7",
    ])
      expect([host, (await get(host)).status]).toEqual([host, 200]);
  });

  test("nobody by another's name (DNS rebinding), whatever is asked for", async () => {
    for (const host of [
      "evil.example",
      "evil.example:5080",
      "203.0.113.5",
      "[2001:db8::5]",
      "stick.example.evil.example",
    ])
      for (const path of ["/", "/v2/", "/v2/pause/tags/list", "/bundle.tar", "/none"])
        expect([host, path, (await get(host, path)).status]).toEqual([host, path, 421]);
  });

  test("a malformed Host header is the asker's fault, and never an error of the server", async () => {
    for (const host of [
      "",
      "a b",
      "[::1",
      "a/b",
      "a@b",
      "a:99999",
      "a:b",
      "a, b",
      "\u00ff",
      "%00",
      "?",
      "#",
      "[fe80::1%25eth0]",
    ])
      expect([host, (await get(host)).status]).toEqual([host, 400]);
    const twice = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    expect((await raw(server.port, twice)).status).toBe(400);
    expect((await raw(server.port, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n")).status).toBe(400);
  });

  test("HTTP/1.0, with and without a Host header", async () => {
    for (const host of ["", "Host: 127.0.0.1\r\n"]) {
      const listing = await raw(server.port, `GET / HTTP/1.0\r\n${host}\r\n`);
      expect(listing).toMatchObject({ status: 200, body: expect.stringContaining("/bundle.tar   the bundle for") });
      const tags = await raw(server.port, `GET /v2/pause/tags/list?n=5 HTTP/1.0\r\n${host}\r\n`);
      expect([tags.status, JSON.parse(tags.body)]).toEqual([
        200,
        { name: "pause", tags: [expect.stringMatching(/^3\.10/)] },
      ]);
    }
    expect((await raw(server.port, "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n")).status).toBe(421);
  });

  test("odd targets and ranges get an answer that is theirs", async () => {
    for (const [target, status] of [
      ["//evil.example/bundle.tar", 404],
      ["/%zz", 404],
      ["/../../etc/passwd", 404],
      ["/__proto__", 404],
      ["/v2/%00/manifests/x", 404],
      ["/?x#y", 200],
    ] as const)
      expect([target, (await get("127.0.0.1", target)).status]).toEqual([target, status]);
    for (const [range, status, length] of [
      ["bytes=0-9", 206, 10],
      ["bytes=-5", 206, 5],
      ["bytes=-", 200, undefined],
      ["bytes=9-0", 416, 0],
      [`bytes=${"9".repeat(400)}-`, 416, 0],
      ["lines=1-2", 200, undefined],
    ] as const) {
      const answer = await fetch(`http://127.0.0.1:${server.port}/bundle.tar`, { headers: { range } });
      const body = await answer.arrayBuffer();
      expect([range, answer.status, body.byteLength]).toEqual([range, status, length ?? fs.statSync(at("b.tar")).size]);
    }
  });
});

test("what is printed for another board fetches and checks, and finds out what was changed on the way", async () => {
  const port = 20_000 + (process.pid % 20_000);
  const server = Bun.spawn([...KUBESTICK, "bundle", "serve", at("b.tar"), "--listen", `127.0.0.1:${port}`], {
    stdout: "pipe",
  });
  try {
    let said = "";
    for await (const chunk of server.stdout) {
      said += new TextDecoder().decode(chunk);
      if (said.includes("Ctrl-C")) break;
    }
    const commands = said.split("\n").filter((line) => line.startsWith("  "));
    expect(commands).toHaveLength(2);
    fs.mkdirSync(at("board"));
    const [fetched, check] = commands as [string, string];
    run("sh", ["-c", `cd ${at("board")} && ${fetched}`]);
    expect(run("sh", ["-c", `cd ${at("board")} && ${check}`])).toBe("bundle.tar: OK\n");
    run("sh", [
      "-c",
      `cd ${at("board")} && curl -fsO http://127.0.0.1:${port}/SHA256SUMS && sha256sum --quiet -c SHA256SUMS`,
    ]);
    fs.appendFileSync(at("board/bundle.tar"), " ");
    expect(() => run("sh", ["-c", `cd ${at("board")} && ${check}`])).toThrow("sha256sum: WARNING");
  } finally {
    server.kill();
    await server.exited;
  }
});

test("an executable beside its release's signed sums is offered as it was signed, too; beside others' it is not", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const release = at("release");
  fs.mkdirSync(release);
  const path = join(release, "kubestick");
  fs.copyFileSync("/bin/true", path);
  const sums = formatSums(new Map([["kubestick-linux-amd64", sha256File(path)]]));
  const write = (text: string) => {
    fs.writeFileSync(join(release, "SHA256SUMS"), text);
    fs.writeFileSync(join(release, "SHA256SUMS.sig"), signSums(sums, privateKey));
    fs.writeFileSync(join(release, "kubestick.pub"), publicKey.export({ type: "spki", format: "pem" }));
  };
  write(sums);
  const server = serve(bundle, offerFiles(bundle, { path, arch: "amd64" }), { hostname: "127.0.0.1", port: 0 });
  try {
    const names = ["kubestick-linux-amd64", "SHA256SUMS", "SHA256SUMS.sig", "kubestick.pub"];
    const board = at("release-board");
    fs.mkdirSync(board);
    for (const name of names) {
      const answer = await fetch(`http://127.0.0.1:${server.port}/${name}`);
      fs.writeFileSync(join(board, name), Buffer.from(await answer.arrayBuffer()));
    }
    run("sh", ["-c", `cd ${board} && sha256sum --quiet -c SHA256SUMS && base64 -d SHA256SUMS.sig > sig`]);
    const verify = [
      "pkeyutl",
      "-verify",
      "-pubin",
      "-inkey",
      "kubestick.pub",
      "-rawin",
      "-in",
      "SHA256SUMS",
      "-sigfile",
      "sig",
    ];
    run("sh", ["-c", `cd ${board} && openssl ${verify.join(" ")}`]);
  } finally {
    await server.stop();
  }
  // Sums that the key did not sign, and sums without this executable.
  write(`${sums}${"0".repeat(64)}  other\n`);
  expect(Object.keys(offerFiles(bundle, { path, arch: "amd64" }))).toEqual(["bundle.tar", "kubestick", "SHA256SUMS"]);
  write(sums);
  fs.appendFileSync(path, "x");
  const offered = offerFiles(bundle, { path, arch: "amd64" });
  expect(Object.keys(offered)).toEqual(["bundle.tar", "kubestick", "SHA256SUMS"]);
  expect(offered["SHA256SUMS"]).toMatchObject({
    text: `${sha256File(at("b.tar"))}  bundle.tar\n${sha256File(path)}  kubestick\n`,
  });
});
