import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Files } from "../../lib/host/files.ts";
import { keptAt, Ledger } from "../../lib/host/ledger.ts";
import { formatLedger, parseLedger } from "../../lib/host/ledger-entries.ts";

let root: string;
let files: Files;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-ledger-"));
  files = new Files(root);
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

const FILE = "/var/lib/kubestick/ledger.json";
const OLD_BINARIES = "/var/lib/kubestick/host-binaries.json";
const written = () => JSON.parse(files.readText(FILE)!) as Record<string, unknown>;
const KUBELET = { version: "v1.36.2", digest: "sha256:1", files: ["/usr/local/bin/kubelet"] };

describe("entries", () => {
  test("have a type each, and are read as they were written", () => {
    const ledger = new Ledger(files);
    ledger.write("/etc/one", "1");
    ledger.claim("/etc/two");
    ledger.claimDirectory("/var/lib/etcd");
    ledger.noteBinary("kubelet", KUBELET);
    ledger.noteService("kubelet");
    ledger.noteSysctl("net.ipv4.ip_forward", "0", "1");
    expect(written()).toEqual({
      "/etc/one": { type: "file", sha256: [expect.stringMatching(/^[0-9a-f]{64}$/)] },
      "/etc/two": { type: "file", sha256: [], claimed: true },
      "/var/lib/etcd": { type: "directory" },
      "binary:kubelet": { type: "binary", ...KUBELET },
      "service:kubelet": { type: "service" },
      "sysctl:net.ipv4.ip_forward": { type: "sysctl", before: "0", value: "1" },
    });
    const read = new Ledger(files);
    expect(read.paths).toEqual(["/etc/one", "/etc/two", "/var/lib/etcd"]);
    expect(["/etc/one", "/etc/two", "/var/lib/etcd"].map((path) => read.claimed(path))).toEqual([false, true, true]);
    expect(read.owns("/etc/one")).toBe(true);
    expect(read.binaries).toEqual({ kubelet: KUBELET });
    expect(read.services).toEqual(["kubelet"]);
    expect(read.sysctls).toEqual([["net.ipv4.ip_forward", { type: "sysctl", before: "0", value: "1" } as never]]);
  });

  test("are noted by several parts of a run, of which none forgets what the others noted", () => {
    const [one, other] = [new Ledger(files), new Ledger(files)];
    one.claim("/etc/one");
    other.noteBinary("kubelet", KUBELET);
    one.claim("/etc/two");
    expect(other.paths).toEqual(["/etc/one", "/etc/two"]);
    expect(one.binaries).toEqual({ kubelet: KUBELET });
  });

  test("of a file: the digests of its last two texts, and whether it is claimed", () => {
    const ledger = new Ledger(files);
    ledger.claim("/etc/one");
    for (const text of ["1", "2", "3", "3"]) ledger.replace("/etc/one", text);
    expect(ledger.claimed("/etc/one")).toBe(true);
    for (const [text, own] of [
      ["1", false],
      ["2", true],
      ["3", true],
    ] as const) {
      files.write("/etc/one", text);
      expect([text, ledger.owns("/etc/one")]).toEqual([text, own]);
    }
  });

  test("of a kernel setting: the value before the first change, and none where nothing changes", () => {
    const ledger = new Ledger(files);
    ledger.noteSysctl("a", "1", "1");
    ledger.noteSysctl("b", "0", "1");
    ledger.noteSysctl("b", "1", "1");
    expect(ledger.sysctls.map(([name, { before }]) => [name, before])).toEqual([["b", "0"]]);
  });

  test("of a later version are kept as they are", () => {
    files.write(FILE, '{"route:10.0.0.0/8": {"type": "route", "via": "10.0.0.1"}, "/etc/one": {"type": "directory"}}');
    const ledger = new Ledger(files);
    expect([ledger.condition, ledger.paths]).toEqual(["whole", ["/etc/one"]]);
    ledger.claim("/etc/two");
    expect(written()["route:10.0.0.0/8"]).toEqual({ type: "route", via: "10.0.0.1" });
  });

  test("count only under a key of their type", () => {
    files.write(
      FILE,
      JSON.stringify({
        "/etc/one": { type: "binary", ...KUBELET },
        "service:x": { type: "sysctl", before: "0", value: "1" },
        "original:/etc/two": { type: "file", sha256: [] },
      }),
    );
    const { binaries, services, sysctls, originals, paths } = new Ledger(files);
    expect({ binaries, services, sysctls, originals, paths }).toEqual({
      binaries: {},
      services: [],
      sysctls: [],
      originals: [],
      paths: ["original:/etc/two"],
    });
  });

  const BAD: Record<string, unknown> = {
    "a file without digests": { "/etc/one": { type: "file" } },
    "digests that are no texts": { "/etc/one": { type: "file", sha256: [5] } },
    "a claim that is no truth": { "/etc/one": { type: "file", sha256: [], claimed: "no" } },
    "no type": { "/etc/one": {} },
    "a type that is no text": { "/etc/one": { type: 5 } },
    "an original that is a file and a link": { "original:/e": { type: "original", sha256: "a", link: "b" } },
    "an original that is neither": { "original:/e": { type: "original" } },
    "a binary's relative path": { "binary:x": { type: "binary", version: "", digest: "", files: ["x"] } },
    "a binary's path with NUL": { "binary:x": { type: "binary", version: "", digest: "", files: ["/x\0"] } },
    "a kernel setting without its value": { "sysctl:x": { type: "sysctl", before: "0" } },
    "the name of what every object has": { "/etc/one": { type: "constructor" }, "/etc/two": 5 },
  };
  for (const [what, value] of Object.entries(BAD))
    test(`with ${what} are damaged`, () => {
      expect(parseLedger(JSON.stringify(value))).toBeUndefined();
      files.write(FILE, JSON.stringify(value));
      expect(new Ledger(files).condition).toBe("damaged");
    });

  test("survive any text as a path", () => {
    const odd = ["/", "", "__proto__", "/a\nb", "/ünï", '/"', "/\u0000"];
    const entries = new Map(odd.map((path) => [path, { type: "directory" as const }]));
    expect(new Map(parseLedger(formatLedger(entries))!)).toEqual(entries);
  });
});

describe("the format of the first versions", () => {
  const DIGEST = "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
  const old = () => files.write(FILE, JSON.stringify({ "/etc/one": [DIGEST], "/var/lib/etcd": ["claimed"] }));

  test("is read, and written anew with the first change", () => {
    old();
    files.write("/etc/one", "1");
    const ledger = new Ledger(files);
    expect([ledger.condition, ledger.begun, ledger.owns("/etc/one"), ledger.claimed("/var/lib/etcd")]).toEqual([
      "whole",
      true,
      true,
      true,
    ]);
    ledger.replace("/etc/one", "2");
    expect(written()).toEqual({
      "/etc/one": { type: "file", sha256: [DIGEST, expect.any(String)] },
      "/var/lib/etcd": { type: "file", sha256: [], claimed: true },
    });
    expect(ledger.originals).toEqual([]);
  });

  test("its record of host binaries is read, and taken over with the first change", () => {
    old();
    files.write(OLD_BINARIES, JSON.stringify({ kubelet: KUBELET, other: 5 }));
    files.write(`${OLD_BINARIES}.previous`, "{}");
    const ledger = new Ledger(files);
    expect(ledger.binaries).toEqual({ kubelet: KUBELET });
    ledger.noteBinary("runc", { ...KUBELET, files: ["/usr/local/bin/runc"] });
    expect(Object.keys(ledger.binaries).sort()).toEqual(["kubelet", "runc"]);
    expect(files.list("/var/lib/kubestick")).toEqual(["ledger.json", "ledger.json.previous"]);
    expect(written()["binary:kubelet"]).toEqual({ type: "binary", ...KUBELET });
  });

  test("what was noted since counts before that record", () => {
    files.write(OLD_BINARIES, JSON.stringify({ kubelet: KUBELET }));
    files.write(FILE, formatLedger(new Map([["binary:kubelet", { type: "binary", ...KUBELET, version: "v1.37.0" }]])));
    expect(new Ledger(files).binaries["kubelet"]?.version).toBe("v1.37.0");
    new Ledger(files).claim("/etc/one");
    expect(new Ledger(files).binaries["kubelet"]?.version).toBe("v1.37.0");
  });

  test("a record of host binaries that is damaged says so, and stays", () => {
    files.write(OLD_BINARIES, "\0\0\0");
    const ledger = new Ledger(files);
    expect([ledger.damagedBinaries, ledger.binaries, ledger.condition]).toEqual([OLD_BINARIES, {}, "none"]);
    ledger.claim("/etc/one");
    expect(new Ledger(files).damagedBinaries).toBe(OLD_BINARIES);
    files.write(FILE, "");
    files.write(`${FILE}.previous`, "");
    expect(new Ledger(files).damagedBinaries).toBe(FILE);
  });
});

describe("what somebody else had there", () => {
  const theirs = (path: string, text = "theirs", mode = 0o640) => files.write(path, text, { mode });

  test("is kept before it is replaced for the first time, with its mode", () => {
    theirs("/var/lib/kubelet/config.yaml");
    const ledger = new Ledger(files);
    expect(ledger.replace("/var/lib/kubelet/config.yaml", "ours")).toBe(true);
    expect(ledger.originals).toEqual([
      ["/var/lib/kubelet/config.yaml", { type: "original", sha256: expect.any(String) } as never],
    ]);
    const kept = keptAt("/var/lib/kubelet/config.yaml");
    expect(kept).toBe("/var/lib/kubestick/replaced/var/lib/kubelet/config.yaml");
    expect(files.readText(kept)).toBe("theirs");
    expect(fs.statSync(files.real(kept)).mode & 0o777).toBe(0o640);
    expect(fs.statSync(files.real("/var/lib/kubestick/replaced")).mode & 0o777).toBe(0o700);
    ledger.replace("/var/lib/kubelet/config.yaml", "ours again");
    theirs("/var/lib/kubelet/config.yaml", "edited");
    ledger.replace("/var/lib/kubelet/config.yaml", "ours at last");
    expect(files.readText(kept)).toBe("theirs");
  });

  test("is not kept where kubestick wrote the same, or nothing was there", () => {
    theirs("/etc/same", "ours");
    const ledger = new Ledger(files);
    expect(ledger.replace("/etc/same", "ours")).toBe(false);
    expect(ledger.write("/etc/same", "ours")).toBe(false);
    ledger.replace("/etc/new", "ours");
    ledger.keep("/etc/none");
    expect(ledger.originals).toEqual([]);
    expect(files.exists("/var/lib/kubestick/replaced")).toBe(false);
  });

  test("is still kept when a crash came between keeping and replacing", () => {
    theirs("/etc/one");
    const ledger = new Ledger(files);
    ledger.keep("/etc/one");
    new Ledger(files).replace("/etc/one", "ours");
    expect(files.readText(keptAt("/etc/one"))).toBe("theirs");
    expect(files.readText("/etc/one")).toBe("ours");
  });

  test("a link is kept itself, also one that leads nowhere", () => {
    files.mkdir("/etc");
    files.link("/etc/one", "/nowhere");
    const ledger = new Ledger(files);
    ledger.keep("/etc/one");
    expect(ledger.originals).toEqual([["/etc/one", { type: "original", link: "/nowhere" } as never]]);
    expect(fs.readlinkSync(join(files.real("/var/lib/kubestick/replaced/etc"), "one"))).toBe("/nowhere");
  });

  test("that cannot be kept is not replaced", () => {
    theirs("/etc/one");
    files.write("/var/lib/kubestick/replaced", "in the way");
    expect(() => new Ledger(files).replace("/etc/one", "ours")).toThrow("cannot keep what is at /etc/one");
    expect(files.readText("/etc/one")).toBe("theirs");
  });

  test("is not kept by a dry run, which changes nothing", () => {
    theirs("/etc/one");
    const before = fs.readdirSync(root, { recursive: true }).sort();
    const dry = new Ledger(new Files(root, { overlay: true }));
    dry.replace("/etc/one", "ours");
    expect(dry.originals.map(([path]) => path)).toEqual(["/etc/one"]);
    expect(fs.readdirSync(root, { recursive: true }).sort()).toEqual(before);
  });
});
