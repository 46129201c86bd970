import { afterAll, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { Bundle } from "../../lib/bundle/bundle.ts";
import type { Output } from "../../lib/host/process.ts";
import { startKubestick } from "../support/async-run.ts";
import { expectDone } from "../support/done.ts";
import { smallBundle } from "../support/small-bundle.ts";

/** More of them find what is rare: ROUNDS=100 KILLS=200. */
const [ROUNDS, KILLS] = [Number(process.env["ROUNDS"] ?? 15), Number(process.env["KILLS"] ?? 15)];
const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
// In memory, where there is such a place: hundreds of runs sync every file.
const work = fs.mkdtempSync(`${fs.existsSync("/dev/shm") ? "/dev/shm" : "/tmp"}/kubestick-twice-`);
const at = (name: string) => join(work, name);
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

const certs = (root: string) => [
  "init",
  "phase",
  "certs",
  "all",
  "--rootfs",
  root,
  "--apiserver-advertise-address",
  "10.0.0.5",
];

/** Every certificate below a root with its own key, and signed by its own CA. */
function checkPairs(root: string): number {
  const pki = join(root, "etc/kubernetes/pki");
  const read = (name: string) => fs.readFileSync(join(pki, name));
  const names = fs.readdirSync(pki, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".crt"));
  const cas = names.filter((name) => /(^|-|\/)ca\.crt$/.test(name)).map((name) => new X509Certificate(read(name)));
  for (const name of names) {
    const certificate = new X509Certificate(read(name));
    const matches = certificate.checkPrivateKey(createPrivateKey(read(name.replace(/\.crt$/, ".key"))));
    const signed = cas.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
    expect({ name, matches, signed }).toEqual({ name, matches: true, signed: true });
  }
  return names.length;
}

/** Temporary files and locks: hidden, beside the others. */
const hidden = (directory: string) =>
  fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => /(^|\/)\.|(^|\/)lock$/.test(name));

/** A run that went well, or was told who is at it already. */
function expectDoneOrHeld(out: Output, what: string): boolean {
  if (out.status === 0) return true;
  expect({ status: out.status, stderr: out.stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(
      new RegExp(
        `^error: another kubestick is changing ${what}: process \\d+ \\(kubestick [a-z ]+\\), since 20\\S+\nwhat to do: wait until it has ended`,
      ),
    ),
  });
  return false;
}

describe("two at once", () => {
  test(`${ROUNDS} rounds of init phase certs on one root: every key fits its certificate`, async () => {
    let held = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const root = at(`root-${round}`);
      const outs = await Promise.all([startKubestick(certs(root)), startKubestick(certs(root))]);
      const done = outs.filter((out) => expectDoneOrHeld(out, root)).length;
      expect(done).toBeGreaterThan(0);
      held += 2 - done;
      expect(checkPairs(root)).toBe(10);
      expect(hidden(root)).toEqual([]);
    }
    expect(held).toBeGreaterThan(0);
  }, 300_000);

  test(`${ROUNDS} rounds of bundle create to one file: the bundle is whole`, async () => {
    const source = smallBundle(at("source.tar"), { arch: ARCH, layer: Buffer.alloc(3_000_000, "layer ") });
    const whole = fs.readFileSync(source);
    fs.mkdirSync(at("bundles"));
    const target = at("bundles/out.tar");
    let held = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const words = ["bundle", "create", target, "--from", source, "--arch", ARCH];
      const outs = await Promise.all([startKubestick(words), startKubestick(words)]);
      const done = outs.filter((out) => expectDoneOrHeld(out, target)).length;
      expect(done).toBeGreaterThan(0);
      held += 2 - done;
      expect(fs.readFileSync(target).equals(whole)).toBe(true);
      expect(fs.readdirSync(at("bundles"))).toEqual(["out.tar"]);
      fs.rmSync(target);
    }
    expect(held).toBeGreaterThan(0);
  }, 300_000);

  test("two files in one directory are made at once", async () => {
    const words = (name: string) => ["bundle", "create", at(name), "--from", at("source.tar"), "--arch", ARCH];
    for (const out of await Promise.all(["a.tar", "b.tar"].map((name) => startKubestick(words(name))))) expectDone(out);
  }, 60_000);
});

describe("killed at a random moment", () => {
  /** How long an undisturbed run takes. */
  async function took(words: string[]): Promise<number> {
    const began = performance.now();
    expectDone(await startKubestick(words));
    return performance.now() - began;
  }

  test(`${KILLS} times, init phase certs goes on where it was, with no half-written file`, async () => {
    const whole = await took(certs(at("timed")));
    const names = new Set(fs.readdirSync(at("timed"), { recursive: true, encoding: "utf8" }));
    for (let round = 0; round < 5; round++) {
      const root = at(`killed-${round}`);
      for (let kill = 0; kill < KILLS / 5; kill++) {
        await startKubestick(certs(root), whole * (0.2 + 0.8 * Math.random()));
        for (const name of fs.existsSync(root) ? fs.readdirSync(root, { recursive: true, encoding: "utf8" }) : []) {
          const path = join(root, name);
          if (/\/\.[^/]*$/.test(name) || !fs.statSync(path).isFile()) continue;
          const text = fs.readFileSync(path, "utf8");
          if (name.endsWith("ledger.json")) JSON.parse(text);
          else if (name.endsWith(".crt")) new X509Certificate(text);
          else if (name.endsWith(".key")) createPrivateKey(text);
        }
      }
      expectDone(await startKubestick(certs(root)));
      expect(checkPairs(root)).toBe(10);
      expect(hidden(root)).toEqual([]);
      expect(new Set(fs.readdirSync(root, { recursive: true, encoding: "utf8" }))).toEqual(names);
    }
  }, 300_000);

  test(`${KILLS} times, bundle create leaves the old file or the whole new one, and the next run clears up`, async () => {
    const source = smallBundle(at("killed.tar"), { arch: ARCH, layer: Buffer.alloc(20_000_000, "layer ") });
    fs.mkdirSync(at("kills"));
    const target = at("kills/out.tar");
    const words = ["bundle", "create", target, "--from", source, "--arch", ARCH];
    const whole = await took(words);
    for (let kill = 0; kill < KILLS; kill++) {
      fs.writeFileSync(target, "old");
      await startKubestick(words, whole * (0.2 + 0.8 * Math.random()));
      if (fs.readFileSync(target).length !== 3) Bundle.open(target).close();
    }
    expectDone(await startKubestick(words));
    expect(fs.readFileSync(target).equals(fs.readFileSync(source))).toBe(true);
    expect(fs.readdirSync(at("kills"))).toEqual(["out.tar"]);
  }, 300_000);
});
