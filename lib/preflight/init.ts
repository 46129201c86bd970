import type { InitConfig } from "../config/types.ts";
import { compareVersions, parseVersion } from "../config/version.ts";
import { MANIFESTS_DIR } from "../constants/paths.ts";
import {
  ETCD_CLIENT_PORT,
  ETCD_PEER_PORT,
  KUBE_CONTROLLER_MANAGER_PORT,
  KUBE_SCHEDULER_PORT,
  KUBELET_PORT,
} from "../constants/ports.ts";
import {
  BUILD_DATE,
  KUBELET_SKEW_MINORS,
  KUBERNETES_VERSION,
  MINIMUM_CONTROL_PLANE_VERSION,
} from "../constants/versions.ts";
import { moveAway } from "../host/errors.ts";
import { findProgram, type HostFacts } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import type { Ledger } from "../host/ledger.ts";
import { isDnsSubdomain } from "../host/net.ts";
import { tryRun } from "../host/process.ts";
import { readSystemFile } from "../host/system-files.ts";
import { requiredImages } from "../manifests/images.ts";
import type { Cri } from "../runtime/cri.ts";
import type { Ui } from "../ui/ui.ts";
import { type Check, error, type Finding, warning } from "./check.ts";
import { listeners } from "./ports.ts";

const MINIMUM_MEMORY_MB = 1700;
const MB = 1024 * 1024;

/** Who may already listen on a control plane port when an earlier run of the same init began here. */
const OWN_LISTENERS = [
  "kube-apiserver",
  "kube-controller",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "etcd",
];

/** What the checks look at. */
export interface PreflightContext {
  config: InitConfig;
  facts: HostFacts;
  files: Files;
  ledger: Ledger;
  cri: Cri;
  ui: Ui;
  options: { dryRun: boolean };
}

type InitCheck = Check<PreflightContext>;

/** init's preflight checks (kubeadm preflight/checks.go), with kubestick's own: Clock and KubernetesVersion. */
export const INIT_CHECKS: InitCheck[] = [
  {
    name: "IsPrivilegedUser",
    why: "services, mounts and /etc/kubernetes are root's",
    run: ({ facts }) => (facts.root ? [] : error("this is not root", "run the same command with sudo")),
  },
  {
    name: "Clock",
    why: "certificates made with a clock in the past are not valid anywhere else; boards often have no battery clock",
    run: ({ facts }) =>
      facts.now.getTime() >= Date.parse(BUILD_DATE)
        ? []
        : error(
            `the clock says ${facts.now.toISOString()}, which is before kubestick was built (${BUILD_DATE.slice(0, 10)})`,
            'set it: date -u -s "YYYY-MM-DD HH:MM:SS"',
          ),
  },
  {
    name: "KubernetesVersion",
    why: "flags and file formats belong to a range of versions",
    run: ({ config }) => {
      const wanted = parseVersion(config.cluster.kubernetesVersion)!;
      const [oldest, newest] = [parseVersion(MINIMUM_CONTROL_PLANE_VERSION)!, parseVersion(KUBERNETES_VERSION)!];
      if (wanted.major === newest.major && wanted.minor <= newest.minor && compareVersions(wanted, oldest) >= 0)
        return [];
      return error(
        `this kubestick deploys Kubernetes ${MINIMUM_CONTROL_PLANE_VERSION} to v${newest.major}.${newest.minor}.x, not ${config.cluster.kubernetesVersion}`,
        "ask for another version, or use the kubestick of that version",
      );
    },
  },
  {
    name: "NumCPU",
    why: "a control plane wants two",
    run: ({ facts }) => (facts.cpus >= 2 ? [] : error(`this host has ${facts.cpus} CPU; a control plane wants 2`)),
  },
  {
    name: "Mem",
    why: "a control plane wants 1700 MB",
    run: ({ facts }) => {
      const mb = Math.floor(facts.memoryBytes / MB);
      return mb >= MINIMUM_MEMORY_MB
        ? []
        : error(`this host has ${mb} MB of memory; a control plane wants ${MINIMUM_MEMORY_MB}`);
    },
  },
  { name: "Hostname", why: "the node's name becomes an object's name", run: checkHostname },
  {
    name: "Swap",
    why: "the kubelet refuses to start with swap unless told otherwise",
    run: ({ facts, config }) =>
      facts.swap && config.kubelet?.["failSwapOn"] === true
        ? error("swap is on and failSwapOn: true is set", "swapoff -a, or remove failSwapOn")
        : [],
  },
  {
    name: "SystemVerification",
    why: "containers need these kernel parts",
    run: ({ facts }) => {
      const problems: Finding[] = [];
      const filesystems = readSystemFile("/proc/filesystems");
      if (!/\boverlay\b/.test(filesystems) && tryRun("modprobe", ["-n", "overlay"]).status !== 0)
        problems.push(...error("this kernel has no overlayfs"));
      const needed = ["cpu", "cpuset", "devices", "freezer", "memory", "pids"];
      const have =
        facts.cgroupVersion === 2
          ? readSystemFile("/sys/fs/cgroup/cgroup.controllers").trim().split(/\s+/)
          : cgroupV1Controllers(readSystemFile("/proc/cgroups"));
      // In v2, devices and freezer are part of the kernel's core.
      const missing = needed.filter(
        (c) => !have.includes(c) && !(facts.cgroupVersion === 2 && (c === "devices" || c === "freezer")),
      );
      if (missing.length > 0)
        problems.push(
          ...error(
            `this kernel runs without the cgroup controllers ${missing.join(", ")}`,
            "on a Raspberry Pi add cgroup_enable=memory cgroup_memory=1 to the kernel's command line (cmdline.txt) and reboot",
          ),
        );
      return problems;
    },
  },
  {
    name: "FileContent--proc-sys-net-ipv4-ip_forward",
    why: "pods reach each other through this host",
    run: ({ config }) => {
      const v6 = config.localAPIEndpoint.advertiseAddress.includes(":");
      const path = v6 ? "/proc/sys/net/ipv6/conf/default/forwarding" : "/proc/sys/net/ipv4/ip_forward";
      return readSystemFile(path).trim() === "1"
        ? []
        : error(
            `${path} is not 1`,
            `echo 1 > ${path}, and to keep it: echo 'net.ipv4.ip_forward = 1' > /etc/sysctl.d/99-kubernetes.conf`,
          );
    },
  },
  {
    name: "HTTPProxy",
    why: "a proxy between the nodes breaks the cluster's TLS",
    run: () => {
      const name = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"].find((n) => process.env[n]);
      return name && !(process.env["NO_PROXY"] ?? process.env["no_proxy"])
        ? warning(`${name} is set without NO_PROXY`, "put the nodes' and the cluster's own networks into NO_PROXY")
        : [];
    },
  },
  {
    name: "Port",
    why: "the control plane listens on these",
    run: ({ config, ledger }) => {
      const ports = [
        config.localAPIEndpoint.bindPort,
        KUBE_SCHEDULER_PORT,
        KUBE_CONTROLLER_MANAGER_PORT,
        KUBELET_PORT,
        ...(config.cluster.etcd.external ? [] : [ETCD_CLIENT_PORT, ETCD_PEER_PORT]),
      ];
      return ports.flatMap((port) => {
        const foreign = listeners(port).filter((name) => !(ledger.begun && OWN_LISTENERS.includes(name)));
        if (foreign.length === 0) return [];
        const found = error(`port ${port} is in use by ${foreign.join(", ")}`, `see: ss -ltnp 'sport = :${port}'`);
        return found.map((finding) => ({ ...finding, name: `Port-${port}` }));
      });
    },
  },
  {
    name: "FileAvailable",
    why: "manifests of another control plane must not be overwritten",
    run: ({ files, ledger }) =>
      ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"].flatMap((name) => {
        const path = `${MANIFESTS_DIR}/${name}.yaml`;
        if (!files.exists(path) || ledger.owns(path)) return [];
        const found = error(
          `${path} is already there, and kubestick did not write it`,
          "kubeadm reset removes an old control plane",
        );
        return found.map((finding) => ({ ...finding, name: `FileAvailable-${path.replaceAll("/", "-")}` }));
      }),
  },
  {
    name: "DirAvailable--var-lib-etcd",
    why: "another cluster's data must not be taken over",
    run: ({ config, files, ledger }) => {
      const dir = config.cluster.etcd.local?.dataDir;
      if (!dir || ledger.claimed(dir) || files.list(dir).filter((name) => name !== "lost+found").length === 0)
        return [];
      return error(`${dir} is not empty, and kubestick did not begin it`, moveAway(dir));
    },
  },
  {
    name: "KubeletVersion",
    why: "a kubelet is never newer than its API server, nor more than three minor versions older",
    run: checkKubelet,
  },
  {
    name: "CRI",
    why: "the kubelet runs containers through it",
    run: async ({ cri, options }) => {
      if (!options.dryRun) await cri.version();
      return [];
    },
  },
  { name: "ImagePull", why: "an image that is missing later stops the control plane half-way", run: checkImages },
];

function checkHostname({ config, facts }: PreflightContext): Finding[] {
  const { name } = config.nodeRegistration;
  if (!isDnsSubdomain(name))
    return error(`the node name ${JSON.stringify(name)} is not a lower case host name`, "give one with --node-name");
  const known = [...readSystemFile("/etc/hosts").matchAll(/^\s*[^#\s]+\s+(.*)$/gm)].some((line) =>
    line[1]!.split(/\s+/).includes(name),
  );
  return known || name === facts.hostname
    ? []
    : warning(
        `nothing resolves the node name ${name} here`,
        `add it to /etc/hosts: echo "${config.localAPIEndpoint.advertiseAddress} ${name}" >> /etc/hosts`,
      );
}

function checkKubelet({ config, options }: PreflightContext): Finding[] {
  const program = findProgram("kubelet");
  if (!program)
    return options.dryRun
      ? []
      : error(
          "there is no kubelet on this host (looked in PATH)",
          `install the kubelet of ${config.cluster.kubernetesVersion}`,
        );
  const found = parseVersion(/v?\d+\.\d+\.\d+\S*/.exec(tryRun(program, ["--version"]).stdout)?.[0] ?? "");
  if (!found) return error(`${program} --version prints no version`);
  const wanted = parseVersion(config.cluster.kubernetesVersion)!;
  const version = `v${found.major}.${found.minor}.${found.patch}`;
  if (found.major !== wanted.major || found.minor > wanted.minor)
    return error(
      `the kubelet is ${version}, newer than the control plane ${config.cluster.kubernetesVersion}`,
      "install an older kubelet, or ask for a newer --kubernetes-version",
    );
  if (wanted.minor - found.minor > KUBELET_SKEW_MINORS)
    return error(
      `the kubelet is ${version}, more than ${KUBELET_SKEW_MINORS} minor versions older than ${config.cluster.kubernetesVersion}`,
      "install a newer kubelet",
    );
  return [];
}

async function checkImages({ config, cri, options, ui }: PreflightContext): Promise<Finding[]> {
  if (options.dryRun) return [];
  const policy = config.nodeRegistration.imagePullPolicy;
  const findings: Finding[] = [];
  for (const image of requiredImages(config.cluster)) {
    if (policy !== "Always" && (await cri.hasImage(image))) continue;
    if (policy === "Never") {
      findings.push(
        ...error(
          `the image ${image} is not here, and imagePullPolicy is Never`,
          `import it: ctr -n k8s.io images import FILE`,
        ),
      );
      continue;
    }
    ui.step("preflight", `Pulling ${image}`);
    try {
      await cri.pullImage(image);
    } catch (e) {
      findings.push(
        ...error(
          e instanceof Error ? e.message : String(e),
          "without a network, import it: ctr -n k8s.io images import FILE",
        ),
      );
    }
  }
  return findings;
}

function cgroupV1Controllers(table: string): string[] {
  return table
    .split("\n")
    .map((line) => line.split("\t"))
    .filter((f) => f[3] === "1")
    .map((f) => f[0]!);
}
