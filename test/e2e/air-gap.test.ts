import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { testCa } from "../support/api-double.ts";
import { ignoredChecks, initCommand, initWith, joinWith, KUBESTICK, nodeConfig } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { buildImages } from "../support/images.ts";
import { TestNode, until } from "../support/node.ts";

// Boards on a switch with nothing else on it: no default route.
const BARE = { cni: false, defaultRoute: false };
const SERVICES = "10.96.0.0/12";
const BUN_IMAGE = "registry.k8s.io/kubestick-test/bun:1";
const routes = (node: TestNode) =>
  node
    .exec(["sh", "-c", "ip route; ip -6 route"], 60_000, true)
    .stdout.replace(/ +$/gm, "")
    .replaceAll(" linkdown", "");
const own = (node: TestNode) => node.exec(["ip", "route", "show", "proto", "75"], 60_000, true).stdout;
const serviceRoute = (node: TestNode) => `${SERVICES} dev eth0 scope link src ${node.ip}`;
/** What the API server answers a program of a host that asks it by its Service. */
const byService = (node: TestNode) => node.exec(["curl", "-sk", "--max-time", "3", "https://10.96.0.1/livez"], 10_000);
const answers = (node: TestNode) =>
  until(
    () => byService(node).stdout === "ok",
    60_000,
    () => `${node.name} reaches the Service kubernetes: ${JSON.stringify(byService(node))}\n${routes(node)}`,
  );

describe("on nodes without a default route", () => {
  const nodes = ["ag1", "ag2"].map((name) => new TestNode(name));
  const [cp, worker] = nodes as [TestNode, TestNode];

  beforeAll(async () => {
    for (const node of nodes) await node.up(BARE);
  });
  afterAll(async () => {
    for (const node of nodes) await node.down();
  });

  test("init and join make routes to the Services' range, and every host reaches a Service", async () => {
    const init = cp.exec(initCommand(cp), 300_000);
    expectDone(init);
    const made = (node: TestNode) => `Routes to Services: route to ${SERVICES} dev eth0 src ${node.ip}\n`;
    expect(init.stdout.indexOf(made(cp))).toBeGreaterThan(0);
    expect(init.stdout.indexOf(made(cp))).toBeLessThan(init.stdout.indexOf("kube-apiserver is healthy"));
    const pin = /sha256:[0-9a-f]{64}/.exec(init.stdout)![0];
    const joined = worker.exec(joinWith(worker, { endpoint: `${cp.ip}:6443`, pin }), 300_000);
    expectDone(joined);
    expect(joined.stdout).toContain(made(worker));
    for (const node of nodes) {
      expect(own(node)).toContain(serviceRoute(node));
      await answers(node);
    }
  });

  test("the API server calls a webhook that a pod on another node serves", async () => {
    const ready = () => cp.kubectl("get", "nodes", "ag2");
    await until(
      () => ready().includes(" Ready "),
      120_000,
      () => `the worker is Ready: ${ready()}`,
    );
    const tar = join(worker.dir, "bun.tar");
    const entrypoint = ["/usr/local/bin/bun"];
    buildImages(
      [{ name: BUN_IMAGE, files: { [entrypoint[0]!]: process.execPath }, entrypoint }],
      tar,
      join(worker.dir, "build"),
    );
    worker.exec(["ctr", "-n", "k8s.io", "images", "import", tar], 120_000, true);
    const ca = await testCa("hook");
    const { cert, key } = await ca.issue({ commonName: "hook", dnsNames: ["hook.default.svc"], usages: ["server"] });
    const script = `Bun.serve({ port: 8443, tls: ${JSON.stringify({ cert, key })}, async fetch(request) {
  const { apiVersion, kind, request: { uid, name } } = await request.json();
  const allowed = name !== "forbidden";
  return Response.json({ apiVersion, kind, response: { uid, allowed, status: { message: "says the pod on ag2" } } });
} });`;
    const labels = { app: "hook" };
    const objects = [
      {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "hook", labels },
        spec: {
          nodeName: "ag2",
          terminationGracePeriodSeconds: 0,
          containers: [{ name: "hook", image: BUN_IMAGE, imagePullPolicy: "Never", args: ["-e", script] }],
        },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "hook" },
        spec: { selector: labels, ports: [{ port: 443, targetPort: 8443 }] },
      },
      {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: "hook" },
        webhooks: [
          {
            name: "hook.default.svc",
            admissionReviewVersions: ["v1"],
            sideEffects: "None",
            timeoutSeconds: 5,
            failurePolicy: "Fail",
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "default" } },
            rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["configmaps"] }],
            clientConfig: {
              caBundle: Buffer.from(ca.ca).toString("base64"),
              service: { name: "hook", namespace: "default" },
            },
          },
        ],
      },
    ];
    cp.write("/root/hook.json", JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
    cp.kubectl("create", "-f", "/root/hook.json");
    const create = (name: string) => cp.exec(["kubectl", "create", "configmap", name], 30_000);
    await until(
      () => create("allowed").status === 0,
      90_000,
      () => `a ConfigMap is allowed: ${create("allowed").stderr}\n${cp.kubectl("get", "pods", "-o", "wide")}`,
    );
    expect(create("forbidden").stderr).toContain("says the pod on ag2");
    cp.kubectl("delete", "validatingwebhookconfiguration", "hook");
  });

  test("the route goes when a default route appears, and comes back when it is gone", async () => {
    worker.exec(["ip", "route", "add", "default", "via", "10.99.0.1"], 60_000, true);
    await until(() => !own(worker).includes(SERVICES), 30_000, "the route to the Services goes");
    await answers(worker);
    worker.exec(["ip", "route", "del", "default"], 60_000, true);
    await until(() => own(worker).includes(serviceRoute(worker)), 30_000, "the route to the Services comes back");
    // A cable that was pulled takes every route with it.
    worker.exec(["sh", "-c", "ip link set eth0 down && ip link set eth0 up"], 60_000, true);
    await until(() => own(worker).includes(serviceRoute(worker)), 30_000, "the routes come back");
    await answers(worker);
  });

  test("a range that is added to the cluster gets its route too", async () => {
    const more = { apiVersion: "networking.k8s.io/v1", kind: "ServiceCIDR", metadata: { name: "more" } };
    cp.write("/root/more.json", JSON.stringify({ ...more, spec: { cidrs: ["10.200.0.0/24"] } }));
    cp.kubectl("create", "-f", "/root/more.json");
    await until(() => nodes.every((node) => own(node).includes("10.200.0.0/24 dev eth0")), 120_000, "the new route");
  });

  describe("a hostile Node, registered with a kubelet's rights,", () => {
    const network = (node: TestNode) => cp.kubectl("get", "node", node.name, "-o", "jsonpath={.spec.podCIDR}");
    const KINDS: [string, () => { podCIDR?: string; address: string }][] = [
      ["that claims half of the Internet", () => ({ podCIDR: "0.0.0.0/1", address: "10.99.0.251" })],
      ["that claims the Services", () => ({ podCIDR: SERVICES, address: "10.99.0.251" })],
      ["that claims the nodes' segment", () => ({ podCIDR: "10.99.0.0/24", address: "10.99.0.251" })],
      ["that claims all pods", () => ({ podCIDR: "10.244.0.0/16", address: "10.99.0.251" })],
      ["that claims the worker's pods", () => ({ podCIDR: network(worker), address: "10.99.0.251" })],
      ["that claims the control plane's pods", () => ({ podCIDR: network(cp), address: "10.99.0.251" })],
      ["that claims the worker's address", () => ({ address: worker.ip })],
      ["that claims the control plane's address", () => ({ address: cp.ip })],
      ["that claims an address elsewhere", () => ({ address: "192.0.2.7" })],
      ["that claims an address of words", () => ({ address: "10.99.0.251; flush ruleset" })],
    ];
    for (const [i, [what, claim]] of KINDS.entries())
      test(`${what} moves no route and no rule, and an Event says so`, async () => {
        const state = () =>
          nodes.map(
            (node) => routes(node) + node.exec(["nft", "list", "table", "ip", "kubestick"], 60_000, true).stdout,
          );
        const before = state();
        const { podCIDR, address } = claim();
        const name = `evil${i}`;
        const node = {
          apiVersion: "v1",
          kind: "Node",
          metadata: { name },
          spec: podCIDR ? { podCIDR, podCIDRs: [podCIDR] } : {},
          status: { addresses: [{ type: "InternalIP", address }] },
        };
        cp.write("/root/evil.json", JSON.stringify(node));
        cp.kubectl(`--as=system:node:${name}`, "--as-group=system:nodes", "create", "-f", "/root/evil.json");
        const events = () =>
          cp.kubectl("get", "events", `--field-selector=involvedObject.name=${name},reason=NetworkClaimRefused`);
        await until(
          () => events().includes("left out of the pods' network"),
          60_000,
          () => `an Event: ${events()}`,
        );
        expect(state()).toEqual(before);
        cp.kubectl("delete", "node", name);
      });
  });

  test("reset leaves no route behind", async () => {
    for (const node of [worker, cp]) {
      expectDone(node.exec([...KUBESTICK, "reset", "--force"], 120_000));
      expect(own(node)).toBe("");
      expect(node.exec(["ip", "-6", "route", "show", "proto", "75"]).stdout).toBe("");
      expect(routes(node)).not.toMatch(/10\.96\.|10\.244\.|10\.200\./);
    }
  });
});

describe("on a node without a default route that has another network", () => {
  const node = new TestNode("ag3");
  beforeAll(async () => void (await node.up({ defaultRoute: false })));
  afterAll(() => node.down());

  test("--network none has the route all the same, with kube-proxy's nftables mode", async () => {
    // In this mode kube-proxy refuses addresses of the range that no Service has; by default the test nodes' are in it.
    const networking = "networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/16}";
    const config = nodeConfig(node).replace(/^networking: .*$/m, networking);
    const route = `10.96.0.0/16 dev eth0 scope link src ${node.ip}`;
    node.write(
      "/etc/kubernetes/kubestick.yaml",
      `${config}---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
`,
    );
    const command = [
      ...KUBESTICK,
      "init",
      "--config=/etc/kubernetes/kubestick.yaml",
      "--network=none",
      ...ignoredChecks(),
    ];
    expectDone(node.exec(command, 300_000));
    await answers(node);
    expect(node.exec(["nft", "list", "tables"]).stdout).toContain("kube-proxy");
    node.exec(["ip", "route", "del", "10.96.0.0/16", "proto", "75"], 60_000, true);
    await until(() => own(node).includes(route), 30_000, "the agent makes the route anew");
    expect(node.exec(["ls", "/etc/cni/net.d"]).stdout).toBe("05-test.conflist\n");
    expectDone(node.exec([...KUBESTICK, "reset", "--force"], 120_000));
    expect(own(node)).toBe("");
  });

  test("another network's configuration that comes first is named, and stays", async () => {
    const out = node.exec(initWith(node, ""), 300_000);
    expect({ status: out.status, stderr: out.stderr }).toEqual({
      status: 0,
      stderr: expect.stringContaining(
        "pods get no addresses from kubestick while /etc/cni/net.d/05-test.conflist is there",
      ),
    });
    await answers(node);
    const events = () =>
      node.kubectl("get", "events", "--field-selector=involvedObject.name=ag3,reason=OtherPodNetwork");
    await until(
      () => events().includes("05-test.conflist"),
      60_000,
      () => `an Event: ${events()}`,
    );
    expectDone(node.exec([...KUBESTICK, "reset", "--force"], 120_000));
    expect(node.exec(["ls", "/etc/cni/net.d"]).stdout).toBe("05-test.conflist\n");
    expect(own(node)).toBe("");
  });
});
