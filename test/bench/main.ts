// Compares kubestick with real kubeadm on this machine, in pairs: `npm run bench [bundle|files|init|join|class|agent] [rounds]`.
import { binary, componentVersions, hasBinary, missingForCluster } from "../support/binaries.ts";
import { initCommand } from "../support/cluster.ts";
import { EXECUTABLE } from "../support/executable.ts";
import { kubeadmConfig, kubeletLoop } from "../support/kubeadm.ts";
import { TestNode } from "../support/node.ts";
import { benchAgent } from "./agent.ts";
import { benchBundles } from "./bundle.ts";
import { benchClass, benchJoin } from "./join.ts";
import { type Measurement, measure, missingKubeadm, reportPairs } from "./support.ts";

/** A class has thirty boards. */
const CLASS = 30;
const WORK = "/var/tmp/kubestick-bench";
const [what = "all", rounds = "3"] = process.argv.slice(2);
if (!(await Bun.file(EXECUTABLE).exists())) {
  console.error(`error: ${EXECUTABLE} is not there\nwhat to do: npm run build`);
  process.exit(1);
}
if (what === "all" || what === "bundle") await benchBundles(Number(rounds));
if (what === "bundle") process.exit(0);
const missing = missingForCluster() ?? missingKubeadm();
if (missing !== undefined) {
  console.log(`skipped, because ${missing}`);
  process.exit(0);
}

/** The phases that need a running host; without them init makes its PKI, kubeconfigs and manifests. */
const NOT_FILES = [
  "preflight",
  "kubelet-start",
  "wait-control-plane",
  "upload-config",
  "upload-certs",
  "mark-control-plane",
  "bootstrap-token",
  "kubelet-finalize",
  "addon",
  "show-join-command",
].join(",");
const versions = componentVersions();
console.log(`kubeadm and components ${versions.kubernetes}, ${rounds} pairs`);

const node = new TestNode("bench", WORK);

async function onNode(images: boolean, run: (node: TestNode) => Promise<Measurement>): Promise<Measurement> {
  try {
    await node.up({ containerd: images, defaultRoute: false });
    return await run(node);
  } finally {
    await node.down();
  }
}

async function files(): Promise<void> {
  const clear = ["bash", "-c", "rm -rf /etc/kubernetes/* /var/lib/etcd/* /var/lib/kubestick/*"];
  for (const [title, algorithm] of [
    ["PKI and files of init, each with its default keys", undefined],
    ["PKI and files of init, both RSA-2048", "RSA-2048"],
  ] as const) {
    const pairs: { kubestick: Measurement[]; kubeadm: Measurement[] } = { kubestick: [], kubeadm: [] };
    await onNode(false, async (node) => {
      for (let i = 0; i < Number(rounds) * 3; i++) {
        for (const side of ["kubestick", "kubeadm"] as const) {
          node.exec(clear, 10_000, true);
          const own = initCommand(node, `--skip-phases=${NOT_FILES}`).slice(2);
          if (algorithm)
            node.write(
              "/etc/kubernetes/kubestick.yaml",
              node
                .file("/etc/kubernetes/kubestick.yaml")
                .replace("networking:", `encryptionAlgorithm: ${algorithm}\nnetworking:`),
            );
          node.write("/etc/kubernetes/kubeadm.yaml", kubeadmConfig(node));
          const peer = [
            binary("kubeadm"),
            "init",
            "--config",
            "/etc/kubernetes/kubeadm.yaml",
            `--skip-phases=${NOT_FILES}`,
          ];
          pairs[side].push(await measure(node, side === "kubestick" ? [EXECUTABLE, ...own] : peer));
        }
      }
      return pairs.kubestick[0]!;
    });
    reportPairs(title, pairs.kubestick, "kubeadm", pairs.kubeadm);
  }
}

async function wholeInit(): Promise<void> {
  const pairs: { kubestick: Measurement[]; kubeadm: Measurement[] } = { kubestick: [], kubeadm: [] };
  for (let i = 0; i < Number(rounds); i++) {
    pairs.kubestick.push(
      await onNode(true, (node) =>
        measure(node, [EXECUTABLE, ...initCommand(node, "--skip-phases=preflight").slice(2)]),
      ),
    );
    pairs.kubeadm.push(
      await onNode(true, async (node) => {
        const kubelet = kubeletLoop(node);
        node.write("/etc/kubernetes/kubeadm.yaml", kubeadmConfig(node));
        const result = await measure(node, [
          binary("kubeadm"),
          "init",
          "--config",
          "/etc/kubernetes/kubeadm.yaml",
          "--skip-phases=preflight",
        ]);
        kubelet.kill("SIGKILL");
        return result;
      }),
    );
  }
  reportPairs(
    "whole init on a fresh node, preflight left out on both sides",
    pairs.kubestick,
    "kubeadm",
    pairs.kubeadm,
  );
}

if (!hasBinary("coredns")) console.log("no coredns here: both sides leave its pods waiting for their image");
if (what === "all" || what === "files") await files();
if (what === "all" || what === "init") await wholeInit();
if (what === "all" || what === "join") await benchJoin(WORK, Number(rounds));
if (what === "all" || what === "agent") await benchAgent(WORK);
// Here the number says how many nodes.
if (what === "all" || what === "class") await benchClass(WORK, what === "class" ? Number(rounds) : CLASS);
