import * as fs from "node:fs";
import { join } from "node:path";
import { companionsOf } from "../../lib/config/companions.ts";
import { TESTED } from "../../lib/constants/tested.ts";
import { KUBERNETES_VERSION, MINIMUM_CONTROL_PLANE_VERSION } from "../../lib/constants/versions.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { compareVersions, parseVersion } from "../../lib/util/version.ts";
import { buildImages, type ImageSpec } from "./images.ts";

/** Where the real components lie that the end-to-end tests run. */
export const E2E_BIN = process.env["KUBESTICK_E2E_BIN"] ?? "/opt/kubestick-e2e/bin";

/** Without these there is no cluster; kubeadm and coredns are needed only by the tests about them. */
const REQUIRED = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "kubectl",
  "etcd",
  "pause",
];
const HOST_PROGRAMS = ["containerd", "runc", "ctr", "ip", "nsenter", "unshare", "mount", "openssl"];

/** The path of a component. */
export const binary = (name: string) => join(E2E_BIN, name);

/** Whether a component is there. */
export const hasBinary = (name: string) => fs.existsSync(binary(name));

/** Why no cluster can be run here; undefined when one can. */
export function missingForCluster(): string | undefined {
  if (process.getuid?.() !== 0) return "this is not root";
  const binaries = REQUIRED.filter((name) => !hasBinary(name));
  if (binaries.length > 0) return `${E2E_BIN} lacks ${binaries.join(", ")}`;
  const programs = HOST_PROGRAMS.filter((name) => !findProgram(name));
  return programs.length > 0 ? `this machine lacks ${programs.join(", ")}` : undefined;
}

/** What the components are: image tags with their versions, and whether kubestick supports them; older ones run with that check ignored. */
export interface ComponentVersions {
  kubernetes: string;
  etcdTag: string;
  /** As the kubeadm that lies there deploys them: it knows no others, whatever version it was built to tell. */
  corednsTag: string;
  pauseTag: string;
  supported: boolean;
}

/** The components in words, and a reminder where no release says that it was tested with them. */
export function describeComponents(): string {
  const { kubernetes, etcdTag } = componentVersions();
  const tell = (program: string, flag: string) => /\d+\.\d+\.\d+/.exec(tryRun(program, [flag]).stdout)?.[0] ?? "none";
  const [coredns, containerd] = [tell(binary("coredns"), "-version"), tell("containerd", "--version")];
  const etcd = etcdTag.replace(/-\d+$/, "");
  const known = TESTED.some((t) => t.kubernetes === kubernetes && t.etcd === etcd && t.containerd === containerd);
  const words = `Kubernetes ${kubernetes}, etcd ${etcd}, CoreDNS ${coredns}, containerd ${containerd}`;
  return known ? words : `${words} (which lib/constants/tested.ts does not name)`;
}

let asked: ComponentVersions | undefined;

/** Asks the components for their versions, once. */
export function componentVersions(): ComponentVersions {
  asked ??= askVersions();
  return asked;
}

function askVersions(): ComponentVersions {
  const kubernetes =
    /v\d+\.\d+\.\d+\S*/.exec(tryRun(binary("kube-apiserver"), ["--version"]).stdout)?.[0] ?? KUBERNETES_VERSION;
  const etcd = /etcd Version: (\S+)/.exec(tryRun(binary("etcd"), ["--version"]).stdout)?.[1];
  const supported = compareVersions(parseVersion(kubernetes)!, parseVersion(MINIMUM_CONTROL_PLANE_VERSION)!) >= 0;
  const images = tryRun(binary("kubeadm"), ["config", "images", "list", "--kubernetes-version", kubernetes]).stdout;
  const companions = companionsOf(kubernetes);
  return {
    kubernetes,
    etcdTag: etcd ? `${etcd}-0` : companions.etcd,
    corednsTag: /\/coredns:(v\S+)/.exec(images)?.[1] ?? companions.coredns,
    pauseTag: /\/pause:(\S+)/.exec(images)?.[1] ?? companions.pause,
    supported,
  };
}

/** The lines of a ClusterConfiguration that name the components' tags, where the version's own would be others. */
export function imageTagLines(): string {
  const { kubernetes, etcdTag, corednsTag } = componentVersions();
  const dns = corednsTag === companionsOf(kubernetes).coredns ? "" : `dns: {imageTag: ${corednsTag}}\n`;
  return `etcd: {local: {imageTag: ${etcdTag}, dataDir: /var/lib/etcd}}\n${dns}`;
}

/** The sandbox image of the test nodes' containerd. */
export const PAUSE_IMAGE = `registry.k8s.io/pause:${componentVersions().pauseTag}`;

/** Whether what was made of the components is there, and none of them is newer. */
function isMade(path: string): boolean {
  const made = fs.statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  return (
    made > 0 && [...REQUIRED, "coredns"].every((name) => !hasBinary(name) || fs.statSync(binary(name)).ctimeMs < made)
  );
}

/** What is made of the components is kept by their versions, so that several sets of them have room in one directory. */
const versionKey = ({ kubernetes, etcdTag, corednsTag, pauseTag }: ComponentVersions) =>
  [kubernetes, etcdTag, corednsTag, pauseTag].join("-");

/** Makes the control plane's images out of the components, once a work directory; gives the tar's path. */
export function componentImages(work: string): string {
  const versions = componentVersions();
  const { kubernetes, etcdTag, corednsTag } = versions;
  const target = join(work, `images-${versionKey(versions)}.tar`);
  if (isMade(target)) return target;
  fs.mkdirSync(work, { recursive: true });
  const tag = kubernetes.replace("+", "_");
  const single = (name: string, image: string): ImageSpec => ({
    name: image,
    files: { [`/usr/local/bin/${name}`]: binary(name) },
  });
  const specs = [
    single("kube-apiserver", `registry.k8s.io/kube-apiserver:${tag}`),
    single("kube-controller-manager", `registry.k8s.io/kube-controller-manager:${tag}`),
    single("kube-scheduler", `registry.k8s.io/kube-scheduler:${tag}`),
    single("etcd", `registry.k8s.io/etcd:${etcdTag}`),
    { name: PAUSE_IMAGE, files: { "/pause": binary("pause") }, entrypoint: ["/pause"] },
    kubeProxy(`registry.k8s.io/kube-proxy:${tag}`),
  ];
  if (hasBinary("coredns"))
    specs.push({
      name: `registry.k8s.io/coredns/coredns:${corednsTag}`,
      files: { "/coredns": binary("coredns") },
      entrypoint: ["/coredns"],
    });
  buildImages(specs, `${target}.new`, join(work, "build"));
  fs.renameSync(`${target}.new`, target);
  return target;
}

/** A containerd's /var/lib/containerd with those images unpacked, made once as they are; gives its path. */
export function unpackedImages(work: string): string {
  const target = join(work, `containerd-${versionKey(componentVersions())}`);
  if (isMade(target)) return target;
  const [making, state] = [`${target}.new`, join(work, "containerd-state")];
  const images = componentImages(work);
  fs.rmSync(making, { recursive: true, force: true });
  fs.mkdirSync(state, { recursive: true });
  fs.writeFileSync(join(state, "config.toml"), 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
  const [config, socket, log] = ["config.toml", "sock", "log"].map((name) => join(state, name));
  const script = `containerd --config ${config} --root ${making} --state ${state}/run --address ${socket} >${log} 2>&1 & pid=$!
for i in $(seq 100); do ctr -a ${socket} version >/dev/null 2>&1 && break; sleep 0.1; done
ctr -a ${socket} -n k8s.io images import ${images} >/dev/null; status=$?
kill $pid; wait $pid; exit $status`;
  run("sh", ["-c", script], 180_000);
  fs.rmSync(target, { recursive: true, force: true });
  fs.renameSync(making, target);
  fs.rmSync(state, { recursive: true });
  return target;
}

/** kube-proxy's image also holds the packet filter's programs and their extensions. */
function kubeProxy(name: string): ImageSpec {
  const files: Record<string, string> = { "/usr/local/bin/kube-proxy": binary("kube-proxy") };
  const multi = findProgram("xtables-nft-multi");
  for (const tool of ["iptables", "ip6tables"]) {
    for (const suffix of ["", "-save", "-restore"]) if (multi) files[`/usr/sbin/${tool}${suffix}`] = multi;
  }
  for (const tool of ["conntrack", "nft"]) {
    const path = findProgram(tool);
    if (path) files[`/usr/sbin/${tool}`] = path;
  }
  const extensions = ["/usr/lib/x86_64-linux-gnu/xtables", "/usr/lib/aarch64-linux-gnu/xtables"].find((dir) =>
    fs.existsSync(dir),
  );
  if (extensions)
    for (const file of fs.readdirSync(extensions)) files[`${extensions}/${file}`] = `${extensions}/${file}`;
  return { name, files };
}
