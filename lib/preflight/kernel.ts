import type { HostFacts } from "../host/facts.ts";
import { hasPart, type KernelFacts, type KernelPart } from "../host/kernel-facts.ts";
import { error, type Finding, warning } from "./check.ts";

type Facts = Pick<HostFacts, "cgroupVersion" | "kernel">;

/** Controllers that the kubelet needs (system-validators types_unix.go); v2 has the last two in its core. */
const CONTROLLERS = ["cpu", "cpuset", "memory", "pids", "devices", "freezer"];
const IN_CORE_OF_V2 = ["devices", "freezer"];

/** What every container needs of the kernel (system-validators types_unix.go, and what runc mounts). */
const REQUIRED: { part: KernelPart; why: string; version?: 1 | 2 }[] = [
  { part: { option: "NET_NS" }, why: "network namespaces" },
  { part: { option: "PID_NS" }, why: "process namespaces" },
  { part: { option: "IPC_NS" }, why: "IPC namespaces" },
  { part: { option: "UTS_NS" }, why: "host name namespaces" },
  { part: { option: "POSIX_MQUEUE" }, why: "message queues, which every container mounts" },
  { part: { option: "FAIR_GROUP_SCHED" }, why: "a share of the processors for each container" },
  { part: { option: "CGROUP_BPF" }, why: "containers' devices, with cgroup v2", version: 2 },
  { part: { option: "OVERLAY_FS", module: "overlay" }, why: "images' layers" },
];

/** The kernels that Kubernetes is tested with (system-validators types_unix.go). */
const TESTED = /^(5\.(4|10|15)\b|[6-9]\.|[1-9]\d+\.)/;

/** What a kernel lacks for containers and the kubelet (kubeadm's SystemVerification), with what to do about it. */
export function verifyKernel({ cgroupVersion, kernel }: Facts): Finding[] {
  const missing = CONTROLLERS.filter(
    (name) => !kernel.controllers.includes(name) && !(cgroupVersion === 2 && IN_CORE_OF_V2.includes(name)),
  );
  const others = missing.filter((name) => name !== "memory");
  return [
    ...(missing.includes("memory")
      ? error("this kernel runs without the cgroup controller memory", memoryAdvice(kernel, cgroupVersion))
      : []),
    ...(others.length > 0
      ? error(
          `this kernel runs without the cgroup controllers ${others.join(", ")}`,
          "use one that is built with them: zgrep CGROUP /proc/config.gz shows this one's",
        )
      : []),
    ...REQUIRED.filter(({ version = cgroupVersion }) => version === cgroupVersion)
      .filter(({ part }) => hasPart(kernel, part) === false)
      .flatMap(({ part, why }) =>
        error(`this kernel has no CONFIG_${part.option}, for ${why}`, moduleAdvice(kernel, part)),
      ),
    ...(TESTED.test(kernel.release)
      ? []
      : warning(
          `Kubernetes is not tested with the kernel ${kernel.release}: of the 5.x ones with 5.4, 5.10 and 5.15, and with every later one`,
        )),
  ];
}

/** What mends a part that is not there. */
function moduleAdvice(kernel: KernelFacts, { option, module }: KernelPart): string {
  if (module !== undefined && kernel.config.get(option) === "m")
    return `its module ${module} is not below /lib/modules/${kernel.release}; after an update of the kernel reboot, else install the package with its modules`;
  return `use a kernel that is built with it${module === undefined ? "" : `, or with the module ${module}`}`;
}

const asksForMemory = (line: string) => /(^|\s)(cgroup_enable=(\w+,)*memory\b|cgroup_memory=1(\s|$))/.test(line);
const forbidsMemory = (line: string) => /(^|\s)cgroup_disable=(\w+,)*memory\b/.test(line);

/**
 * How a kernel gets its memory controller, which it runs without: by where the words are that ask for it. A Raspberry
 * Pi's device tree says cgroup_disable=memory; its firmware reads the first line of cmdline.txt alone, and
 * cgroup_enable=memory is known to Raspberry Pi's own kernels alone (raspberrypi/linux#6980, #7442).
 */
export function memoryAdvice(kernel: KernelFacts, cgroupVersion: 1 | 2): string {
  const { bootFile, cmdline, config, release } = kernel;
  const built = config.size === 0 || config.get("MEMCG") === "y";
  if (!built) return `this kernel, ${release}, is built without it (CONFIG_MEMCG); use another`;
  if (
    cgroupVersion === 1 &&
    config.size > 0 &&
    !config.has("MEMCG_V1") &&
    !forbidsMemory(cmdline) &&
    newHierarchyOnly(release)
  )
    return "this kernel has it with cgroup v2 alone (no CONFIG_MEMCG_V1): start it with systemd.unified_cgroup_hierarchy=1, or let cgroup2 be mounted at /sys/fs/cgroup";
  if (!bootFile)
    return forbidsMemory(cmdline)
      ? "take cgroup_disable=memory out of the kernel's command line (/etc/default/grub, /boot/armbianEnv.txt or /boot/extlinux/extlinux.conf; cat /proc/cmdline shows it) and reboot"
      : "add cgroup_enable=memory to the kernel's command line (on a Raspberry Pi to the one line of /boot/firmware/cmdline.txt) and reboot";
  const [first = "", ...rest] = bootFile.text.split("\n");
  if (!asksForMemory(first))
    return rest.some(asksForMemory)
      ? `${bootFile.path} asks for it below its first line, which is the only one that is read: put everything on that one line, and reboot`
      : `add cgroup_enable=memory cgroup_memory=1 to the end of the first line of ${bootFile.path}, which must stay one line, and reboot`;
  if (!asksForMemory(cmdline))
    return `${bootFile.path} asks for it, and this kernel was started without that: reboot (where that was done, the board starts from another ${bootFile.path.split("/").at(-1)})`;
  if (forbidsMemory(cmdline))
    return `${bootFile.path} is right, but the board's device tree gives the kernel cgroup_disable=memory, and this one, ${release}, does not know cgroup_enable=memory, as Raspberry Pi's own kernels do: use one of those, or take the word out of /chosen bootargs of the .dtb file (fdtget -ts FILE /chosen bootargs shows it, fdtput -ts changes it)`;
  return `${bootFile.path} is right, and this kernel, ${release}, has it all the same not; use another, such as Raspberry Pi's own`;
}

/** Linux 6.11 made version 1's memory controller an option (CONFIG_MEMCG_V1). */
function newHierarchyOnly(release: string): boolean {
  const [major = 0, minor = 0] = release.split(".").map(Number);
  return major > 6 || (major === 6 && minor >= 11);
}

/** What a node's network needs of the kernel: the packet filter of kube-proxy's mode, and the pods' network. */
export interface NetworkNeeds {
  /** kube-proxy's mode; undefined where there is none, or it is not known yet. */
  proxyMode?: "iptables" | "nftables" | "ipvs" | undefined;
  /** Whether the pods' network is kubestick's own; undefined where that is not known yet. */
  flat?: boolean | undefined;
}

/** Parts of which one is enough: each a list that is needed together. */
interface Need {
  what: string;
  anyOf: KernelPart[][];
  wanted: (needs: NetworkNeeds) => boolean;
  /** Told, but not in the way, where less than all works without. */
  minor?: boolean;
}

const part = (option: string, module: string): KernelPart => ({ option, module });
const xt = (option: string, module: string) => part(`NETFILTER_XT_${option}`, module);
const iptables = ({ proxyMode }: NetworkNeeds) => proxyMode === "iptables" || proxyMode === "ipvs";
const nftables = ({ proxyMode }: NetworkNeeds) => proxyMode === "nftables";
const ipvs = ({ proxyMode }: NetworkNeeds) => proxyMode === "ipvs";
const flat = (needs: NetworkNeeds) => needs.flat === true;

/** What kube-proxy's rules (pkg/proxy) and the CNI plugin bridge use of the kernel. */
const NEEDS: Need[] = [
  { what: "the flat network's bridge", anyOf: [[part("BRIDGE", "bridge")]], wanted: flat },
  { what: "the flat network's links to pods", anyOf: [[part("VETH", "veth")]], wanted: flat },
  {
    what: "Services between pods of one node",
    anyOf: [[part("BRIDGE_NETFILTER", "br_netfilter")]],
    wanted: (needs) => flat(needs) && needs.proxyMode !== undefined,
  },
  {
    what: "kube-proxy's rules, by iptables of either kind",
    anyOf: [
      [part("NF_TABLES", "nf_tables"), part("NFT_COMPAT", "nft_compat"), part("NF_NAT", "nf_nat")],
      [part("IP_NF_IPTABLES", "ip_tables"), part("IP_NF_NAT", "iptable_nat")],
    ],
    wanted: iptables,
  },
  ...[
    xt("MATCH_COMMENT", "xt_comment"),
    xt("MATCH_CONNTRACK", "xt_conntrack"),
    xt("MATCH_ADDRTYPE", "xt_addrtype"),
    xt("MATCH_STATISTIC", "xt_statistic"),
    xt("MARK", "xt_mark"),
    xt("NAT", "xt_nat"),
  ].map((one) => ({ what: "kube-proxy's rules", anyOf: [[one]], wanted: iptables })),
  {
    what: "kube-proxy's rules",
    anyOf: [[xt("TARGET_MASQUERADE", "xt_MASQUERADE")], [part("IP_NF_TARGET_MASQUERADE", "ipt_MASQUERADE")]],
    wanted: iptables,
  },
  {
    what: "Services with sessionAffinity",
    anyOf: [[xt("MATCH_RECENT", "xt_recent")]],
    wanted: ({ proxyMode }) => proxyMode === "iptables",
    minor: true,
  },
  ...[
    part("NF_TABLES", "nf_tables"),
    part("NFT_CT", "nft_ct"),
    part("NFT_NAT", "nft_nat"),
    part("NFT_MASQ", "nft_masq"),
    part("NFT_NUMGEN", "nft_numgen"),
    part("NFT_REJECT", "nft_reject"),
  ].map((one) => ({ what: "kube-proxy's rules", anyOf: [[one]], wanted: nftables })),
  ...[part("IP_VS", "ip_vs"), part("IP_VS_RR", "ip_vs_rr"), part("IP_SET", "ip_set")].map((one) => ({
    what: "kube-proxy's mode ipvs",
    anyOf: [[one]],
    wanted: ipvs,
  })),
];

/** The first kernel that kube-proxy's mode nftables takes (KEP-3866). */
const NFTABLES_KERNEL = [5, 13];

/** What the kernel lacks for a node's network; what it does not tell is taken to be there. */
export function verifyNetworkKernel(kernel: KernelFacts, needs: NetworkNeeds): Finding[] {
  const findings: Finding[] = NEEDS.filter(({ wanted }) => wanted(needs)).flatMap(({ what, anyOf, minor }) => {
    const lacking = anyOf.map((together) => together.filter((one) => hasPart(kernel, one) === false));
    if (lacking.some((parts) => parts.length === 0)) return [];
    const names = lacking.map((parts) => parts.map((one) => one.module ?? one.option).join(" and "));
    const first = lacking[0]![0]!;
    const found = (minor ? warning : error)(
      `this kernel has ${names.length > 1 ? `neither ${names.join(" nor ")}` : `no ${names[0]}`}, for ${what}`,
      `${moduleAdvice(kernel, first)} (CONFIG_${first.option})`,
    );
    return found.map((finding) => ({ ...finding, name: `KernelModules-${first.module}` }));
  });
  const [major = 0, minor = 0] = kernel.release.split(".").map((number) => Number.parseInt(number, 10));
  const old = major < NFTABLES_KERNEL[0]! || (major === NFTABLES_KERNEL[0] && minor < NFTABLES_KERNEL[1]!);
  if (nftables(needs) && old)
    findings.push(
      ...error(
        `kube-proxy's mode nftables needs Linux ${NFTABLES_KERNEL.join(".")}, and this is ${kernel.release}`,
        "leave mode out of the KubeProxyConfiguration, or use a newer kernel",
      ),
    );
  return findings;
}
