import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as os from "node:os";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { tryRun } from "../../lib/host/process.ts";
import { kubeRulesRemoval } from "../../lib/network/packet-filter.ts";

// Real iptables, in a network namespace that ends with each test.
const missing = process.getuid?.() !== 0 || !["iptables", "iptables-restore", "unshare"].every((p) => findProgram(p));

const OTHERS = `*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -j DOCKER
-A PREROUTING -m comment --comment "not ours, says \\" -j KUBE-SERVICES" -j DOCKER
-A DOCKER -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
[3:180] -A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
`;

const OURS = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-X - [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m comment --comment "default/kubernetes:https" -m tcp --dport 443 -j KUBE-SVC-X
-A KUBE-SVC-X -j KUBE-MARK-MASQ
COMMIT
*filter
:KUBE-FIREWALL - [0:0]
-A INPUT -j KUBE-FIREWALL
-A INPUT -g KUBE-FIREWALL
-A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
COMMIT
`;

/** What a network namespace's iptables holds, counters too, once it has read these texts one after the other. */
function afterwards(...texts: string[]): string[] {
  const files = texts.map((text, i) => {
    const file = join(dir, `rules-${i}`);
    fs.writeFileSync(file, text);
    return file;
  });
  const script = `${files.map((file) => `iptables-restore -c --noflush <${file}`).join("\n")}\niptables-save -c`;
  const out = tryRun("unshare", ["-n", "sh", "-ec", script], 20_000);
  expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
  return out.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

let dir: string;
beforeAll(() => {
  dir = fs.mkdtempSync(join(os.tmpdir(), "kubestick-"));
});
afterAll(() => fs.rmSync(dir, { recursive: true }));

describe.skipIf(missing)("what kube-proxy leaves in iptables", () => {
  test("goes, and others' rules and counters stay as they are", () => {
    const both = afterwards(OTHERS, OURS);
    expect(both.filter((line) => line.includes("KUBE-"))).toHaveLength(12);
    // iptables-save without -c, as reset runs it.
    const removal = kubeRulesRemoval(both.map((line) => line.replace(/^\[\d+:\d+\] /, "")).join("\n"));
    expect(afterwards(OTHERS, OURS, removal)).toEqual(afterwards(OTHERS));
  });

  test("is nothing where there is none", () => {
    expect(kubeRulesRemoval(afterwards(OTHERS).join("\n"))).toBe("");
    expect(kubeRulesRemoval("")).toBe("");
  });
});
