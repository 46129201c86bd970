import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiClient } from "../../lib/api/client.ts";
import { INOTIFY_INSTANCES, LAB_INOTIFY_PER_NODE } from "../../lib/constants/lab.ts";
import { KUBELET_CLIENT_CURRENT } from "../../lib/constants/paths.ts";
import { getSysctl, setSysctl } from "../../lib/host/kernel.ts";
import { readKubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { inParallel } from "../../lib/util/pool.ts";
import { binary } from "../support/binaries.ts";
import { initWith, TOKEN } from "../support/cluster.ts";
import { EXECUTABLE } from "../support/executable.ts";
import { kubeadmJoinConfig, kubeletLoop, speakOldKubeadm } from "../support/kubeadm.ts";
import { TestNode } from "../support/node.ts";
import { type Measurement, measure, median, reportPairs } from "./support.ts";

const ENDPOINT = "cluster.test:6443";
const OWN_COPY = "/var/lib/kubestick-on-disk";
const POLL_MS = 20;
const CLASS_POLL_MS = 200;
const LIMIT_MS = 600_000;

/** A control plane for others to join, and a client of it. */
async function controlPlane(work: string): Promise<{ node: TestNode; client: ApiClient; pin: string }> {
  const node = new TestNode("bj-cp", work);
  await node.up({ hosts: `${node.ip} cluster.test\n`, cni: false });
  const init = initWith(node, `controlPlaneEndpoint: ${ENDPOINT}\n`, "--skip-phases=preflight").slice(2);
  node.exec([EXECUTABLE, ...init], LIMIT_MS, true);
  const path = "/etc/kubernetes/admin.conf";
  const config = readKubeconfig(node.file(path), path, () => undefined);
  const client = new ApiClient({ ...config, server: `https://${node.ip}:6443` });
  return { node, client, pin: caPin(new X509Certificate(node.file("/etc/kubernetes/pki/ca.crt"))) };
}

type NodeObject = { metadata: { name: string }; status?: { conditions?: { type: string; status: string }[] } };

/** Seconds from now until something holds. */
async function secondsUntil(holds: () => boolean | Promise<boolean>, pause = POLL_MS): Promise<number> {
  const started = performance.now();
  while (!(await holds())) {
    if (performance.now() - started > LIMIT_MS) throw new Error("waited in vain");
    await sleep(pause);
  }
  return (performance.now() - started) / 1000;
}

const nodesOf = async (client: ApiClient) => (await client.list<NodeObject>("v1", "Node")).items;

/**
 * Pairs of a kubestick join and a kubeadm join of a fresh node to one cluster: from the command to the kubelet's
 * certificate, and to the node's registration, in between which only the kubelet works, the same on both sides.
 */
export async function benchJoin(work: string, rounds: number): Promise<void> {
  const side = () => ({ certificate: [] as Measurement[], node: [] as Measurement[] });
  const pairs = { kubestick: side(), kubeadm: side() };
  const { node: first, client, pin } = await controlPlane(work);
  speakOldKubeadm(first);
  const worker = new TestNode("bj-worker", work);
  const flags = ["--token", TOKEN, "--discovery-token-ca-cert-hash", pin, "--skip-phases=preflight"];
  const commands = {
    kubestick: [OWN_COPY, "join", ENDPOINT, ...flags],
    kubeadm: [binary("kubeadm"), "join", "--config=/etc/kubernetes/kubeadm.yaml", "--skip-phases=preflight"],
  };
  try {
    for (let i = 0; i < rounds; i++) {
      for (const name of ["kubestick", "kubeadm"] as const) {
        // With a default route an old kubelet asks clouds for credentials for as long as all the rest takes.
        await worker.up({
          hosts: `${first.ip} cluster.test\n`,
          cni: false,
          images: false,
          defaultRoute: false,
        });
        // A board has its executable on a disk of its own.
        fs.copyFileSync(EXECUTABLE, worker.path(OWN_COPY));
        const config = kubeadmJoinConfig(worker, { endpoint: ENDPOINT, token: TOKEN, pin });
        worker.write("/etc/kubernetes/kubeadm.yaml", config);
        // A service manager would start kubeadm's kubelet.
        if (name === "kubeadm") kubeletLoop(worker);
        const file = worker.path(KUBELET_CLIENT_CURRENT);
        const [{ peakMiB }, certificate, node] = await Promise.all([
          measure(worker, commands[name]),
          // A symbolic link to a path of the node, which leads nowhere on this machine.
          secondsUntil(() => fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined),
          secondsUntil(async () => (await nodesOf(client)).some(({ metadata }) => metadata.name === worker.name)),
        ]);
        pairs[name].certificate.push({ seconds: certificate, peakMiB });
        pairs[name].node.push({ seconds: node, peakMiB });
        await client.delete("v1", "Node", worker.name);
        await worker.down();
      }
    }
    for (const [until, title] of [
      ["certificate", "join, until the kubelet has its certificate"],
      ["node", "join, until the node is registered"],
    ] as const)
      reportPairs(title, pairs.kubestick[until], "kubeadm", pairs.kubeadm[until]);
  } finally {
    await client.close();
    await worker.down();
    await first.down();
  }
}

/** A class: as many nodes as asked for join one control plane at the same moment, each with a slip of its own. */
export async function benchClass(work: string, count: number): Promise<void> {
  // So many kubelets on one kernel need more of these than it gives by default; boards have a kernel each.
  const before = getSysctl(INOTIFY_INSTANCES);
  setSysctl(INOTIFY_INSTANCES, String(Math.max(Number(before), (count + 1) * LAB_INOTIFY_PER_NODE)));
  const { node: first, client } = await controlPlane(work);
  const boards = Array.from({ length: count }, (_, i) => new TestNode(`bj-${i + 1}`, work));
  try {
    await inParallel(boards, 4, async (board) => {
      await board.up({ hosts: `${first.ip} cluster.test\n`, cni: false, images: false });
    });
    const create = ["token", "create", "--count", String(count), "--print-join-command"];
    const slips = first
      .exec([EXECUTABLE, ...create], 60_000, true)
      .stdout.trim()
      .split("\n");
    const named = (nodes: NodeObject[]) => nodes.filter(({ metadata }) => /^bj-\d+$/.test(metadata.name));
    const isReady = ({ status }: NodeObject) =>
      status?.conditions?.some((c) => c.type === "Ready" && c.status === "True") ?? false;
    const [registered, ready, ...joins] = await Promise.all([
      secondsUntil(async () => named(await nodesOf(client)).length === count, CLASS_POLL_MS),
      secondsUntil(async () => named(await nodesOf(client)).filter(isReady).length === count, CLASS_POLL_MS),
      ...boards.map((board, i) => measure(board, [EXECUTABLE, ...slips[i]!.split(" ").slice(1)])),
    ]);
    const seconds = joins.map((join) => join.seconds);
    const left = first.exec([EXECUTABLE, "token", "list"], 60_000, true).stdout.trim().split("\n").length - 1;
    console.log(
      `${count} joins at once: all registered after ${registered.toFixed(1)} s, all Ready after ${ready.toFixed(1)} s; ` +
        `a join took ${median(seconds).toFixed(1)} s in the middle, ${Math.max(...seconds).toFixed(1)} s at most, ` +
        `peak ${Math.max(...joins.map((join) => join.peakMiB)).toFixed(0)} MiB; tokens left: ${left}`,
    );
  } finally {
    await client.close();
    for (const node of [...boards, first]) await node.down();
    setSysctl(INOTIFY_INSTANCES, before);
  }
}
