import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Files } from "../../lib/host/files.ts";
import {
  ownResolvConf,
  parseResolvConf,
  podNameservers,
  podResolvConf,
  readResolvConf,
  readResolvConfs,
} from "../../lib/host/resolv-conf.ts";
import { refreshResolvConf, upstreams } from "../../lib/kubelet/resolv-conf.ts";

const OWN = "/var/lib/kubestick/resolv.conf";
const STUB = "/run/systemd/resolve/resolv.conf";
const DNS = ["10.96.0.10", "fd00:10:96::a"];
const host = (text: string) => parseResolvConf("/etc/resolv.conf", text);
const resolved = (text: string) => parseResolvConf(STUB, text);

describe("a resolv.conf for pods", () => {
  for (const [name, text, nameservers, path] of [
    ["good ones", "nameserver 192.168.7.1\nnameserver 10.0.0.1\n", ["192.168.7.1", "10.0.0.1"], "/etc/resolv.conf"],
    ["loopback and a good one", "nameserver 127.0.0.1\nnameserver 192.168.7.1\n", ["192.168.7.1"], OWN],
    ["another loopback", "nameserver 127.0.1.1\nnameserver 192.168.7.1\n", ["192.168.7.1"], OWN],
    ["IPv6 loopback", "nameserver ::1\nnameserver 192.168.7.1\n", ["192.168.7.1"], OWN],
    ["IPv6 loopback, long", "nameserver 0:0:0:0:0:0:0:1\nnameserver 10.0.0.1\n", ["10.0.0.1"], OWN],
    ["link-local and a good one", "nameserver fe80::1%eth0\nnameserver 192.168.7.1\n", ["192.168.7.1"], OWN],
    ["link-local alone", "nameserver fe80::1%eth0\n", [], OWN],
    ["link-local without a zone", "nameserver fe80::1\n", [], OWN],
    ["a zone that is no link-local", "nameserver 2001:db8::1%eth0\n", [], OWN],
    ["mapped loopback", "nameserver ::ffff:127.0.0.1\n", [], OWN],
    ["compatible loopback", "nameserver ::127.0.0.1\n", [], OWN],
    ["unspecified", "nameserver 0.0.0.0\n", [], OWN],
    ["unspecified IPv6", "nameserver ::\n", [], OWN],
    ["mapped unspecified", "nameserver ::ffff:0.0.0.0\n", [], OWN],
    ["multicast", "nameserver 224.0.0.251\nnameserver ff02::fb\n", [], OWN],
    ["broadcast", "nameserver 255.255.255.255\n", [], OWN],
    ["the cluster's own DNS", "nameserver 10.96.0.10\nnameserver 192.168.7.1\n", ["192.168.7.1"], OWN],
    ["the cluster's own DNS, IPv6", "nameserver fd00:10:96:0::a\n", [], OWN],
    ["one twice", "nameserver 10.0.0.1\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", ["10.0.0.1", "10.0.0.2"], OWN],
    [
      "more than three",
      "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n",
      ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
      "/etc/resolv.conf",
    ],
    [
      "more than three, not all good",
      "nameserver 127.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\nnameserver 10.0.0.5\n",
      ["10.0.0.2", "10.0.0.3", "10.0.0.4"],
      OWN,
    ],
    ["commented", "#nameserver 127.0.0.1\n; nameserver ::1\n  nameserver 10.0.0.1\n", ["10.0.0.1"], "/etc/resolv.conf"],
    ["CRLF", "nameserver 10.0.0.1\r\nsearch lan\r\n", ["10.0.0.1"], "/etc/resolv.conf"],
    ["something behind it", "nameserver 10.0.0.1 # the router\n", ["10.0.0.1"], "/etc/resolv.conf"],
    ["junk at its end", "nameserver 10.0.0.1;x\nnameserver 10.0.0.2\n", ["10.0.0.2"], OWN],
    ["a name", "nameserver router.lan\n", [], OWN],
    ["no address", "nameserver\nnameserver 10.0.0.1\n", ["10.0.0.1"], OWN],
    ["link-local IPv4, as clouds have it", "nameserver 169.254.169.253\n", ["169.254.169.253"], "/etc/resolv.conf"],
    ["IPv6", "nameserver 2001:db8::53\n", ["2001:db8::53"], "/etc/resolv.conf"],
    ["nothing", "", [], OWN],
    ["no nameserver", "search lan\n", [], OWN],
  ] as const) {
    test(`${name}: ${JSON.stringify(text)}`, () => {
      const confs = [host(text), resolved("")];
      const found = podResolvConf(confs, DNS);
      expect({ path: found.path, nameservers: found.nameservers }).toEqual({ path, nameservers: [...nameservers] });
      expect(found.why === undefined).toBe(path === "/etc/resolv.conf");
      // What is written says the same, and needs no second look.
      const again = parseResolvConf(OWN, ownResolvConf(confs, DNS));
      expect(again.nameservers).toEqual([...nameservers]);
      expect(podNameservers(again, DNS)).toEqual([...nameservers]);
      expect(again.refused).toBe(false);
    });
  }

  test("systemd-resolved's file is taken as it is where it is good, and what is good of it elsewhere", () => {
    const stub = host("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan\n");
    expect(podResolvConf([stub, resolved("nameserver 10.0.0.1\n")], DNS)).toMatchObject({
      path: STUB,
      nameservers: ["10.0.0.1"],
      why: expect.stringContaining("/etc/resolv.conf points to a stub"),
    });
    const mixed = [stub, resolved("nameserver fe80::1%3\nnameserver 10.0.0.1\nsearch home.lan\n")];
    expect(podResolvConf(mixed, DNS)).toMatchObject({
      path: OWN,
      nameservers: ["10.0.0.1"],
      why: `pods cannot reach fe80::1%3 of ${STUB}`,
    });
    expect(ownResolvConf(mixed, DNS)).toBe(
      `# Written by kubestick: the nameservers of ${STUB} that pods can reach.\nnameserver 10.0.0.1\nsearch home.lan\n`,
    );
    expect(podResolvConf([stub, resolved("")], DNS).why).toBe(
      "/etc/resolv.conf names only 127.0.0.53, which pods cannot reach",
    );
  });

  test("the search list and the options are kept, read as the kubelet reads them", () => {
    const text =
      "search old.lan\nnameserver ::1\nnameserver 10.0.0.1\nsearch lan . office.example.\noptions ndots:2 timeout:1\noptions rotate\n";
    expect(ownResolvConf([host(text)], DNS)).toBe(
      "# Written by kubestick: the nameservers of /etc/resolv.conf that pods can reach.\nnameserver 10.0.0.1\nsearch lan office.example.\noptions ndots:2 timeout:1 rotate\n",
    );
  });

  test("any text gives a file whose nameservers pods can reach", () => {
    const words = ["nameserver", "search", "options", "#", ";", "127.0.0.1", "10.0.0.1", "::", "fe80::1%e", "x", "\r"];
    let seed = 7;
    const next = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed % n;
    };
    for (let i = 0; i < 2_000; i++) {
      const text = Array.from({ length: next(30) }, () => words[next(words.length)] + [" ", "\n", "\t"][next(3)]!).join(
        "",
      );
      const again = parseResolvConf(OWN, ownResolvConf([host(text)], DNS));
      expect(podNameservers(again, DNS)).toEqual(again.nameservers);
      expect(again.nameservers.every((address) => address === "10.0.0.1")).toBe(true);
    }
  });
});

describe("on a host", () => {
  const root = fs.mkdtempSync(join(tmpdir(), "kubestick-resolv-"));
  const files = new Files(root);

  test("is read from its files, and kept up to date where the kubelet reads kubestick's own", () => {
    expect(readResolvConf(files, "/none")).toMatchObject({ nameservers: [], refused: false });
    files.write("/etc/resolv.conf", "nameserver 127.0.0.1\nnameserver 10.0.0.1\n");
    expect(readResolvConfs(files).map((conf) => conf.nameservers)).toEqual([["127.0.0.1", "10.0.0.1"], []]);
    expect(refreshResolvConf(files)).toBe(false);
    files.write("/var/lib/kubelet/config.yaml", `clusterDNS: [10.96.0.10]\nresolvConf: ${OWN}\n`);
    expect(refreshResolvConf(files)).toBe(true);
    expect(refreshResolvConf(files)).toBe(false);
    files.write("/etc/resolv.conf", "nameserver 10.96.0.10\nnameserver 10.0.0.2\n");
    expect(refreshResolvConf(files)).toBe(true);
    expect(files.readText(OWN)).toContain("\nnameserver 10.0.0.2\n");
    expect(files.readText(OWN)).not.toContain("10.96.0.10");
    files.write("/var/lib/kubelet/config.yaml", "clusterDNS: [10.96.0.10]\nresolvConf: /etc/resolv.conf\n");
    files.write("/etc/resolv.conf", "nameserver 10.0.0.3\n");
    expect(refreshResolvConf(files)).toBe(false);
    fs.rmSync(root, { recursive: true });
  });

  test("CoreDNS is told of those that its kubelet gives it, and the user's own file is taken at its word", () => {
    const confs = [host("nameserver 127.0.0.1\nnameserver 10.0.0.1\n")];
    const own = new Files("/", { overlay: true });
    own.write("/etc/mine", "nameserver 127.0.0.1\nnameserver 10.0.0.9\n");
    const of = (resolvConf: string) => upstreams(confs, own, { clusterDNS: DNS, resolvConf });
    expect(of(OWN)).toEqual({ path: "/etc/resolv.conf", nameservers: ["10.0.0.1"], lost: [] });
    expect(of("/etc/mine")).toEqual({ path: "/etc/mine", nameservers: ["10.0.0.9"], lost: ["127.0.0.1"] });
    expect(of("").nameservers).toEqual([]);
  });
});
