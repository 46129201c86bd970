import { describe, expect, test } from "bun:test";
import { findProgram } from "../../lib/host/facts.ts";
import { tryRun } from "../../lib/host/process.ts";

// The node agent itself, in a network namespace that ends with the test, against a stand-in for the API server.
const missing = process.getuid?.() !== 0 || !["ip", "nft", "unshare"].every((p) => findProgram(p));
const root = new URL("../../", import.meta.url).pathname;

const STAGE = `
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { Files } from "${root}lib/host/files.ts";
import { kubeconfig } from "${root}lib/kubeconfig/kubeconfig.ts";
import { writeYaml } from "${root}lib/yaml/write.ts";
import { runNodeAgent } from "${root}lib/agent/agent.ts";
import { apiDouble, json, testCa } from "${root}test/support/api-double.ts";
const sh = (text) => spawnSync("sh", ["-c", text], { encoding: "utf8" }).stdout.trim();
sh("ip link set lo up; ip link add eth0 type bridge; ip addr add 10.0.0.11/24 dev eth0; ip link set eth0 up");
const node = (name, second, podCIDR, address) => ({
  metadata: { name, uid: "u-" + name, creationTimestamp: "2026-11-24T10:00:" + second + "Z", resourceVersion: second },
  spec: podCIDR ? { podCIDR, podCIDRs: [podCIDR] } : {},
  status: { addresses: [{ type: "InternalIP", address }] },
});
const state = { kind: "flat", events: [], asked: [], watchers: [], up: true,
  nodes: [node("n11", 11, "10.244.11.0/24", "10.0.0.11"), node("n12", 12, "10.244.12.0/24", "10.0.0.12")] };
const kubeadm = "networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}";
const double = await apiDouble(({ method, url, body }, response) => {
  const path = url.pathname;
  state.asked.push(method + " " + path + (url.searchParams.has("watch") ? "?watch" : ""));
  if (!state.up) return json(response, 503, {});
  if (path.endsWith("/configmaps/kubeadm-config")) return json(response, 200, { data: { ClusterConfiguration: kubeadm } });
  if (path.endsWith("/configmaps/kubestick"))
    return state.kind ? json(response, 200, { data: { network: state.kind } }) : json(response, 403, {});
  if (path.endsWith("/servicecidrs")) return json(response, 403, {});
  if (path.endsWith("/nodes/n11")) return json(response, 200, state.nodes[0]);
  if (method === "POST" && path.endsWith("/events")) { state.events.push(JSON.parse(body)); return json(response, 201, {}); }
  if (!path.endsWith("/nodes")) return json(response, 404, {});
  if (!url.searchParams.has("watch")) return json(response, 200, { items: state.nodes, metadata: { resourceVersion: "20" } });
  response.writeHead(200, { "content-type": "application/json" });
  response.flushHeaders();
  state.watchers.push(response);
}, { anyClient: true });
const tell = (type, object) => { for (const w of state.watchers) w.write(JSON.stringify({ type, object }) + "\\n"); };
const ca = await testCa("kubernetes");
const { cert, key } = await ca.issue({ commonName: "system:node:n11", organizations: ["system:nodes"], usages: ["client"] });
const dir = fs.mkdtempSync("/tmp/kubestick-agent-");
const files = new Files(dir);
files.write("/etc/kubernetes/kubelet.conf", writeYaml(kubeconfig("kubernetes", "u", double.server, double.ca, { certificate: cert, key })));
const log = [];
const stop = new AbortController();
const agent = runNodeAgent(files, (text) => void log.push(text), stop.signal);
const routes = () => sh("ip route show proto 75").replace(/ +$|linkdown/gm, "").replace(/ +/g, " ").split("\\n").map((l) => l.trim());
const until = async (what, holds) => {
  for (let i = 0; i < 300; i++) { if (holds()) return; await Bun.sleep(100); }
  throw new Error("in vain: " + what + "\\n" + JSON.stringify({ log, routes: routes(), asked: state.asked, events: state.events }));
};
const finish = async (result) => {
  stop.abort();
  await agent;
  double.close();
  fs.rmSync(dir, { recursive: true });
  console.log(JSON.stringify(result));
  process.exit();
};
`;

/** What a play gives that is acted on the stage. */
function play(script: string): unknown {
  const out = tryRun("unshare", ["-n", process.execPath, "-e", `${STAGE}\n${script}`], 110_000);
  expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(out.stdout);
}

const SERVICES = "10.96.0.0/12 dev eth0 scope link src 10.0.0.11";

describe.skipIf(missing)("the node agent", () => {
  test("follows the cluster's Nodes, leaves out what one should not say, and writes an Event of it", () => {
    const seen = play(`
await until("routes", () => routes().length === 2 && files.exists("/etc/cni/net.d/10-kubestick.conflist"));
const first = [routes(), sh("nft list table ip kubestick").match(/ip saddr.*/)[0]];
tell("ADDED", node("evil", 13, "0.0.0.0/1", "10.0.0.13"));
await until("an Event", () => state.events.length === 1);
const after = [routes(), sh("nft list table ip kubestick").match(/ip saddr.*/)[0]];
tell("ADDED", node("n14", 14, "10.244.14.0/24", "10.0.0.14"));
tell("DELETED", node("n12", 12, "10.244.12.0/24", "10.0.0.12"));
await until("the new node's route", () => routes().join().includes("via 10.0.0.14"));
const { involvedObject, reason, message, type } = state.events[0];
await finish({ first, same: JSON.stringify(first) === JSON.stringify(after), last: routes(), event: { involvedObject, reason, message, type }, log: log.filter((l) => l.includes("evil")) });`);
    const message = `left out of the pods' network: pod network "0.0.0.0/1" is outside the cluster's pod range`;
    expect(seen).toEqual({
      first: [
        [SERVICES, "10.244.12.0/24 via 10.0.0.12 dev eth0"],
        "ip saddr 10.244.11.0/24 ip daddr != { 10.0.0.11-10.0.0.12, 10.244.0.0/16 } masquerade",
      ],
      same: true,
      last: [SERVICES, "10.244.14.0/24 via 10.0.0.14 dev eth0"],
      event: {
        involvedObject: { apiVersion: "v1", kind: "Node", name: "evil", uid: "u-evil" },
        reason: "NetworkClaimRefused",
        message,
        type: "Warning",
      },
      log: [`node evil: ${message}`],
    });
  });

  test("keeps the routes to Services while the API server is away, and begins with them without it", () => {
    const seen = play(`
await until("routes", () => routes().length === 2);
state.up = false;
for (const w of state.watchers) w.end();
sh("ip link set eth0 down; ip link set eth0 up");
const lost = routes();
await until("both routes again", () => routes().length === 2);
sh("ip route add default via 10.0.0.1");
await until("no route to Services", () => !routes().includes(${JSON.stringify(SERVICES)}));
sh("ip route del default; ip route flush proto 75");
const again = new AbortController();
runNodeAgent(files, () => {}, again.signal);
await until("routes from memory", () => routes().includes(${JSON.stringify(SERVICES)}));
again.abort();
await finish({ lost });`);
    expect(seen).toEqual({ lost: [""] });
  });

  test("where kubestick does not make the pods' network, keeps the routes to Services and asks for no other Node", () => {
    const seen = play(`
state.kind = "";
sh("ip route add 10.244.12.0/24 via 10.0.0.12 proto 75");
await until("routes", () => routes().length === 2);
await Bun.sleep(1000);
await finish({ routes: routes(), asked: [...new Set(state.asked)].sort(), files: files.exists("/etc/cni/net.d"), tables: sh("nft list tables") });`);
    expect(seen).toEqual({
      routes: [SERVICES, "10.244.12.0/24 via 10.0.0.12 dev eth0"],
      asked: [
        "GET /api/v1/namespaces/kube-system/configmaps/kubeadm-config",
        "GET /api/v1/namespaces/kube-system/configmaps/kubestick",
        "GET /api/v1/nodes/n11",
        "GET /apis/networking.k8s.io/v1/servicecidrs",
      ],
      files: false,
      tables: "",
    });
  });

  test("whose flat network cannot do its work says so, and keeps the routes to Services all the same", () => {
    const seen = play(`
await until("routes", () => routes().length === 2 && files.exists("/etc/cni/net.d/10-kubestick.conflist"));
fs.rmSync(dir + "/etc/cni/net.d", { recursive: true });
fs.writeFileSync(dir + "/etc/cni/net.d", "");
tell("ADDED", node("n14", 14, "10.244.14.0/24", "10.0.0.14"));
await until("an Event", () => state.events.length === 1);
// What comes and goes between two looks at the routes is not seen.
await Bun.sleep(6000);
sh("ip route flush proto 75");
await until("the routes to Services", () => routes().includes(${JSON.stringify(SERVICES)}));
fs.rmSync(dir + "/etc/cni/net.d");
await until("all routes", () => routes().length === 3 && files.exists("/etc/cni/net.d/10-kubestick.conflist"));
const { involvedObject, reason, message } = state.events[0];
await finish({ name: involvedObject.name, reason, message: message.replace(/ENOTDIR.*;/, "ENOTDIR;"), events: state.events.length });`);
    expect(seen).toEqual({
      name: "n11",
      reason: "NodeAgentFailed",
      message: "flat network: cannot write /etc/cni/net.d/10-kubestick.conflist: ENOTDIR; trying again",
      events: 1,
    });
  });
});
