import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../../lib/errors.ts";
import {
  chooseAdvertiseAddress,
  defaultInterface,
  hasCapability,
  passingAddresses,
  requireAdvertiseAddress,
  requireNodeName,
} from "../../lib/host/facts.ts";
import { Files } from "../../lib/host/files.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { listeningInodes } from "../../lib/preflight/ports.ts";

let root: string;
beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-files-"));
});
afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

test("addresses of the privacy extensions, and deprecated ones, are no node's", () => {
  const table = `fd000099000000000000000000000060 02 40 00 80     eth0
fd00009900000000a1b2000000000001 02 40 00 01     eth0
fd000099000000000000000000000061 02 40 00 a0     eth0
`;
  expect([...passingAddresses(table)]).toEqual(["fd00:99::a1b2:0:0:1", "fd00:99::61"]);
  expect(passingAddresses("").size).toBe(0);
});

describe("files below a root", () => {
  test("links and .. never lead outside", () => {
    const files = new Files(root);
    fs.mkdirSync(join(root, "etc"));
    fs.symlinkSync("/etc", join(root, "escape"));
    fs.symlinkSync("../../../../tmp", join(root, "etc/up"));
    fs.symlinkSync("loop", join(root, "loop"));
    expect(files.real("/escape/passwd")).toBe(join(root, "etc/passwd"));
    expect(files.real("/etc/up/x")).toBe(join(root, "tmp/x"));
    expect(files.real("/../../x")).toBe(join(root, "x"));
    expect(() => files.real("/loop/x")).toThrow("too many symbolic links");
    files.write("/escape/new", "text");
    expect(fs.readFileSync(join(root, "etc/new"), "utf8")).toBe("text");
  });

  test("a write replaces the whole file with its mode, and leaves nothing else behind", () => {
    const files = new Files(root);
    files.write("/a/b/secret", "one", { secret: true });
    files.write("/a/b/secret", "two", { mode: 0o644 });
    expect(fs.readdirSync(join(root, "a/b"))).toEqual(["secret"]);
    expect(fs.statSync(join(root, "a/b/secret")).mode & 0o777).toBe(0o644);
    expect(files.readText("/a/b/secret")).toBe("two");
  });

  test("what a crash left of a write is hidden from the kubelet, and cleared by the next one", async () => {
    const files = new Files(root);
    fs.mkdirSync(join(root, "manifests"));
    const seen: string[] = [];
    const watcher = fs.watch(join(root, "manifests"), (_event, name) => void seen.push(String(name)));
    const left = ".etcd.yaml.4000000-1-0123456789ab.kubestick";
    fs.writeFileSync(join(root, "manifests", left), "half a pod");
    files.write("/manifests/etcd.yaml", "a pod");
    await Bun.sleep(50);
    watcher.close();
    expect(fs.readdirSync(join(root, "manifests"))).toEqual(["etcd.yaml"]);
    expect(seen).toContain(left);
    expect(new Set(seen.filter((name) => name !== left && name !== "etcd.yaml")).size).toBe(1);
    expect(seen.filter((name) => name !== "etcd.yaml" && !name.startsWith("."))).toEqual([]);
  });

  test("a write that cannot be says why and leaves the old file", () => {
    const files = new Files(root);
    fs.writeFileSync(join(root, "file"), "old");
    expect(() => files.write("/file/below", "new")).toThrow("cannot write /file/below");
    expect(files.readText("/file")).toBe("old");
  });

  test("an overlay touches nothing and reads back what it wrote", () => {
    const files = new Files(root, { overlay: true });
    fs.writeFileSync(join(root, "there"), "real");
    files.write("/there", "changed");
    files.write("/new", "new");
    files.remove("/new");
    files.write("/dir/entry", "x");
    expect(files.readText("/there")).toBe("changed");
    expect(files.exists("/new")).toBe(false);
    expect(files.list("/dir")).toEqual(["entry"]);
    expect(fs.readdirSync(root)).toEqual(["there"]);
    expect(fs.readFileSync(join(root, "there"), "utf8")).toBe("real");
  });
});

describe("the ledger", () => {
  test("refuses what somebody else wrote or changed, and takes its own", () => {
    const files = new Files(root);
    const ledger = new Ledger(files);
    expect(ledger.begun).toBe(false);
    expect(ledger.write("/etc/one", "1")).toBe(true);
    expect(ledger.write("/etc/one", "1")).toBe(false);
    expect(new Ledger(files).write("/etc/one", "2")).toBe(true);
    fs.writeFileSync(join(root, "etc/one"), "edited");
    expect(() => new Ledger(files).write("/etc/one", "3")).toThrow("kubestick did not write it");
    fs.writeFileSync(join(root, "etc/foreign"), "x");
    expect(() => ledger.write("/etc/foreign", "y")).toThrow("kubestick did not write it");
    expect(files.readText("/etc/foreign")).toBe("x");
  });

  test("still owns a file when a crash came between noting a write and doing it", () => {
    const files = new Files(root);
    new Ledger(files).write("/etc/one", "1");
    const ledger = new Ledger(files);
    ledger.write("/etc/one", "2");
    fs.writeFileSync(join(root, "etc/one"), "1");
    expect(new Ledger(files).owns("/etc/one")).toBe(true);
  });

  const FILE = "/var/lib/kubestick/ledger.json";
  const [now, before] = ["ledger.json", "ledger.json.previous"].map(
    (name) => () => join(root, "var/lib/kubestick", name),
  );
  /** What a power cut, or somebody, may leave of it. */
  const DAMAGES: [string, string | Buffer][] = [
    ["zeros", Buffer.alloc(4096)],
    ["nothing", ""],
    ["half of it", '{"/etc/one": ["5d'],
    ["another file's bytes", Buffer.from(Array.from({ length: 256 }, (_, i) => i))],
    ["a list", "[1]"],
    ["null", "null"],
    ["no digests", '{"/etc/one": 5}'],
  ];

  for (const [what, bytes] of DAMAGES) {
    test(`with ${what} in it is read from its copy, with ${what} in both owns nothing and says so`, () => {
      const files = new Files(root);
      const ledger = new Ledger(files);
      ledger.write("/etc/one", "1");
      ledger.write("/etc/two", "2");
      expect(ledger.condition).toBe("whole");
      fs.writeFileSync(now!(), bytes);
      const restored = new Ledger(files);
      expect([restored.condition, restored.owns("/etc/one"), restored.begun]).toEqual(["restored", true, true]);
      fs.writeFileSync(before!(), bytes);
      const damaged = new Ledger(files);
      expect([damaged.condition, damaged.owns("/etc/one"), damaged.begun]).toEqual(["damaged", false, false]);
    });
  }

  test("that was restored is written anew, and its good copy is kept until then", () => {
    const files = new Files(root);
    const ledger = new Ledger(files);
    ledger.write("/etc/one", "1");
    ledger.write("/etc/two", "2");
    fs.writeFileSync(now!(), "");
    const restored = new Ledger(files);
    restored.claim("/etc/three");
    expect(Object.keys(JSON.parse(fs.readFileSync(before!(), "utf8")))).toEqual(["/etc/one"]);
    expect(new Ledger(files).paths).toEqual(["/etc/one", "/etc/three"]);
    restored.claim("/etc/four");
    expect(Object.keys(JSON.parse(fs.readFileSync(before!(), "utf8")))).toEqual(["/etc/one", "/etc/three"]);
    expect(new Ledger(files).condition).toBe("whole");
  });

  test("is found by its copy where only that is left, and is none where neither is", () => {
    const files = new Files(root);
    expect(new Ledger(files).condition).toBe("none");
    const ledger = new Ledger(files);
    ledger.claim("/etc/one");
    ledger.claim("/etc/two");
    fs.rmSync(now!());
    expect(new Ledger(files).condition).toBe("restored");
    fs.rmSync(before!());
    expect(new Ledger(files).condition).toBe("none");
    files.write(FILE, "{}");
    expect(new Ledger(files).condition).toBe("whole");
  });
});

describe("facts", () => {
  const HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n";
  test("the default route with the lowest metric wins", () => {
    const table = `${HEADER}wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\neth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\neth0\t0000000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\n`;
    expect(defaultInterface(table, "")).toBe("eth0");
    const v6 = `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth1\n`;
    expect(defaultInterface(HEADER, v6)).toBe("eth1");
    expect(defaultInterface(HEADER, "")).toBeUndefined();
  });

  test("without a default route the only address is taken, and several are not guessed among", () => {
    const address = (a: string, family: 4 | 6 = 4) => ({ interface: "eth0", address: a, family });
    expect(
      chooseAdvertiseAddress({ addresses: [address("10.0.0.2"), address("fd00::2", 6)], defaultInterface: undefined }),
    ).toBe("10.0.0.2");
    expect(
      chooseAdvertiseAddress({ addresses: [address("10.0.0.2"), address("10.1.0.2")], defaultInterface: undefined }),
    ).toBeUndefined();
    expect(
      chooseAdvertiseAddress({
        addresses: [{ ...address("10.0.0.2"), interface: "eth1" }, address("10.1.0.2")],
        defaultInterface: "eth1",
      }),
    ).toBe("10.0.0.2");
    expect(chooseAdvertiseAddress({ addresses: [], defaultInterface: "eth0" })).toBeUndefined();
  });

  test("of a host with both families the address of the wanted one is taken", () => {
    const addresses = [
      { interface: "eth0", address: "10.0.0.2", family: 4 as const },
      { interface: "eth0", address: "fd00::2", family: 6 as const },
      { interface: "eth1", address: "fd01::2", family: 6 as const },
    ];
    expect(chooseAdvertiseAddress({ addresses, defaultInterface: "eth0" }, 6)).toBe("fd00::2");
    expect(chooseAdvertiseAddress({ addresses, defaultInterface: "eth0" }, 4)).toBe("10.0.0.2");
    expect(chooseAdvertiseAddress({ addresses, defaultInterface: undefined }, 4)).toBe("10.0.0.2");
    expect(chooseAdvertiseAddress({ addresses, defaultInterface: undefined }, 6)).toBeUndefined();
    expect(() => requireAdvertiseAddress({ addresses: addresses.slice(0, 1), defaultInterface: "eth0" }, 6)).toThrow(
      "the cluster's Services have IPv6 addresses first, and this host has no IPv6 address to advertise",
    );
  });

  test("a host's own name is its node's, or is refused with one that could be", () => {
    for (const hostname of ["raspberrypi", "board-1", "pi.lan", "0"])
      expect(requireNodeName({ hostname })).toBe(hostname);
    for (const [hostname, suggestion] of [
      ["pi_4", "pi-4"],
      ["pi.", "pi"],
      ["(none)", "board-1"],
      ["", "board-1"],
      ["-a-._b", "a.b"],
      ["zürich", "z-rich"],
      ["_", "board-1"],
      [`${"a".repeat(62)}-b`, "a".repeat(62)],
      ["Raspberry Pi", "aspberry-i"],
      ["a/../../b", "a.b"],
    ] as const) {
      const failure = (() => {
        try {
          return requireNodeName({ hostname });
        } catch (error) {
          return error as UsageError;
        }
      })() as UsageError;
      expect(failure).toBeInstanceOf(UsageError);
      expect(failure.message).toStartWith(`this host's own name ${JSON.stringify(hostname)} cannot be a node's name: `);
      expect(failure.hint).toBe(`give the node a name with --node-name, such as --node-name ${suggestion}`);
    }
  });

  test("listeners are found in the kernel's table", () => {
    const table =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1\n   1: 0100007F:192B 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 777 1\n";
    expect(listeningInodes(table, { port: 6443, addresses: [] })).toEqual(["12345"]);
    expect(listeningInodes(table, { port: 80, addresses: [] })).toEqual([]);
  });
});

test("capabilities are read out of /proc", () => {
  expect(hasCapability("CapEff:\t000001ffffffffff\n", 24n)).toBe(true);
  expect(hasCapability("CapEff:\t00000000a80425fb\n", 24n)).toBe(false);
  expect(hasCapability("", 24n)).toBe(false);
});
