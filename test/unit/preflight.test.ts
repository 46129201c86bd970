import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSystemOf } from "../../lib/host/file-system.ts";
import { Files } from "../../lib/host/files.ts";
import { hasPart, type KernelFacts, modulesIn, parseKernelConfig, v1Controllers } from "../../lib/host/kernel-facts.ts";
import { verifyContainerdConfig } from "../../lib/preflight/containerd.ts";
import { INIT_CHECKS, type PreflightContext } from "../../lib/preflight/init.ts";
import { memoryAdvice, verifyKernel, verifyNetworkKernel } from "../../lib/preflight/kernel.ts";
import { dropsForwarded } from "../../lib/preflight/network.ts";
import { verifyApparmor, verifySelinux } from "../../lib/preflight/security.ts";
import { overlayRefusal, verifyStorage } from "../../lib/preflight/storage.ts";
import { readExistingContainerd } from "../../lib/runtime/containerd-existing.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";

const kernel = (changes: Partial<KernelFacts> = {}): KernelFacts => ({ ...FACTS.kernel, ...changes });
const built = (text: string) => parseKernelConfig(text.replace(/(\S+) ?/g, "CONFIG_$1\n"));

/** As Raspberry Pi's firmware and device tree give it (raspberrypi/linux#6980). */
const FIRMWARE =
  "reboot=w coherent_pool=1M 8250.nr_uarts=1 pci=pcie_bus_safe cgroup_disable=memory numa_policy=interleave smsc95xx.macaddr=2C:CF:67:00:00:01 vc_mem.mem_base=0x3fc00000 vc_mem.mem_size=0x40000000 ";
const LINE = "console=serial0,115200 console=tty1 root=PARTUUID=4d8097e2-02 rootfstype=ext4 fsck.repair=yes rootwait";
const ASKED = `${LINE} cgroup_memory=1 cgroup_enable=memory`;

describe("the memory controller", () => {
  const pi = (cmdline: string, text: string, changes: Partial<KernelFacts> = {}) =>
    kernel({
      controllers: ["cpuset", "cpu", "io", "pids"],
      cmdline,
      bootFile: { path: "/boot/firmware/cmdline.txt", text },
      ...changes,
    });

  for (const [name, found, words] of [
    [
      "nobody asked for it",
      pi(FIRMWARE + LINE, `${LINE}\n`),
      "to the end of the first line of /boot/firmware/cmdline.txt",
    ],
    [
      "an older system",
      { ...pi(FIRMWARE + LINE, ""), bootFile: { path: "/boot/cmdline.txt", text: LINE } },
      "/boot/cmdline.txt",
    ],
    [
      "the words are on a second line",
      pi(FIRMWARE + LINE, `${LINE}\ncgroup_memory=1 cgroup_enable=memory\n`),
      "asks for it below its first line, which is the only one that is read",
    ],
    ["no reboot since", pi(FIRMWARE + LINE, `${ASKED}\n`), "was started without that: reboot"],
    [
      "the firmware forbids it, and another's kernel does not know the words",
      pi(FIRMWARE + ASKED, `${ASKED}\n`, { release: "6.8.0-1013-raspi" }),
      "/boot/firmware/cmdline.txt is right, but the board's device tree gives the kernel cgroup_disable=memory, and this one, 6.8.0-1013-raspi,",
    ],
    [
      "it is built without",
      pi(FIRMWARE + ASKED, ASKED, { config: built("CGROUPS=y") }),
      "built without it (CONFIG_MEMCG)",
    ],
    ["all is right", pi(ASKED, ASKED), "has it all the same not"],
    ["another list of words", pi(LINE, `${LINE} cgroup_enable=cpuset,memory`), "was started without that"],
    ["a word that only looks like it", pi(LINE, `${LINE} xcgroup_memory=1`), "to the end of the first line"],
  ] as const) {
    test(name, () => {
      expect(memoryAdvice(found, 2)).toContain(words);
      const [finding] = verifyKernel({ cgroupVersion: 2, kernel: found });
      expect(finding).toMatchObject({
        level: "error",
        message: "this kernel runs without the cgroup controller memory",
      });
      expect(finding!.fix).toContain(words);
    });
  }

  test("elsewhere the boot loader has the word, or none has it", () => {
    expect(memoryAdvice(kernel({ cmdline: "quiet cgroup_disable=memory" }), 2)).toContain("/boot/armbianEnv.txt");
    expect(memoryAdvice(kernel({ cmdline: "quiet" }), 2)).toContain("add cgroup_enable=memory");
    const late = kernel({ cmdline: "quiet", config: built("MEMCG=y"), release: "6.12.1" });
    expect(memoryAdvice(late, 1)).toContain("systemd.unified_cgroup_hierarchy=1");
    expect(memoryAdvice({ ...late, release: "6.6.20" }, 1)).not.toContain("unified");
  });

  test("is where /proc/cgroups says that it is enabled", () => {
    const table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t0\t39\t1\nmemory\t0\t39\t0\npids\t0\t39\t1\n";
    expect(v1Controllers(table)).toEqual(["cpuset", "pids"]);
  });
});

describe("the kernel's parts", () => {
  test("are built in, loaded or to be loaded; a module whose file is gone is not there", () => {
    const dep =
      "kernel/net/bridge/br_netfilter.ko.xz: kernel/net/bridge/bridge.ko.xz\nkernel/fs/overlayfs/overlay.ko:\n";
    expect(modulesIn(dep)).toEqual(["br_netfilter", "bridge", "overlay"]);
    expect(modulesIn("kernel/net/netfilter/nf-tables.ko\n")).toEqual(["nf_tables"]);
    const config = parseKernelConfig("CONFIG_NF_TABLES=m\n# CONFIG_BRIDGE is not set\nCONFIG_HZ=250\nCONFIG_VETH=y\n");
    const has = (option: string, module: string, changes: Partial<KernelFacts>) =>
      hasPart(kernel({ modules: new Set(), ...changes }), { option, module });
    expect(has("VETH", "veth", { config })).toBe(true);
    expect(has("BRIDGE", "bridge", { config })).toBe(false);
    expect(has("NF_TABLES", "nf_tables", { config })).toBe(false);
    expect(has("NF_TABLES", "nf_tables", { config, modules: new Set(["nf_tables"]) })).toBe(true);
    // Nothing can be read: nothing is claimed.
    expect(has("NF_TABLES", "nf_tables", {})).toBeUndefined();
    expect(has("NF_TABLES", "nf_tables", { modulesListed: true })).toBe(false);
    expect(hasPart(kernel({ modulesListed: true }), { option: "NET_NS" })).toBeUndefined();
  });

  test("containers need some, and Kubernetes is tested with some kernels", () => {
    const names = (changes: Partial<KernelFacts>, cgroupVersion: 1 | 2 = 2) =>
      verifyKernel({ cgroupVersion, kernel: kernel(changes) }).map(({ level, message }) => `${level}: ${message}`);
    expect(names({})).toEqual([]);
    const all = "NET_NS=y PID_NS=y IPC_NS=y UTS_NS=y POSIX_MQUEUE=y FAIR_GROUP_SCHED=y OVERLAY_FS=m";
    expect(names({ config: built(`${all} CGROUP_BPF=y`) })).toEqual([]);
    expect(names({ config: built(all) })).toEqual([
      "error: this kernel has no CONFIG_CGROUP_BPF, for containers' devices, with cgroup v2",
    ]);
    expect(
      names({ config: built(all), controllers: ["cpu", "cpuset", "memory", "pids", "devices", "freezer"] }, 1),
    ).toEqual([]);
    expect(names({ config: built("OVERLAY_FS=m"), modules: new Set() })).toContain(
      "error: this kernel has no CONFIG_OVERLAY_FS, for images' layers",
    );
    expect(names({ controllers: ["memory"] })).toEqual([
      "error: this kernel runs without the cgroup controllers cpu, cpuset, pids",
    ]);
    for (const [release, told] of [
      ["4.9.191", true],
      ["5.4.61-sunxi", false],
      ["5.10.110-rockchip", false],
      ["5.9.0", true],
      ["6.1.0", false],
      ["10.0.1", false],
    ] as const)
      expect({ release, told: names({ release }).length > 0 }).toEqual({ release, told });
    expect(names({ release: "4.9.191" })[0]).toStartWith("warning: Kubernetes is not tested with the kernel 4.9.191");
  });

  test("kube-proxy and the flat network need others, by name", () => {
    const filter = ["xt_comment", "xt_conntrack", "xt_addrtype", "xt_statistic", "xt_mark", "xt_nat", "xt_recent"];
    const links = ["bridge", "veth", "br_netfilter"];
    const nft = ["nf_tables", "nft_compat", "nf_nat", "xt_MASQUERADE", ...filter, ...links];
    const needs = { flat: true, proxyMode: "iptables" } as const;
    const told = (modules: string[], wanted: Parameters<typeof verifyNetworkKernel>[1] = needs) =>
      verifyNetworkKernel(kernel({ modules: new Set(modules), modulesListed: true }), wanted);
    expect(told(nft)).toEqual([]);
    expect(told(["ip_tables", "iptable_nat", "ipt_MASQUERADE", ...filter, ...links])).toEqual([]);
    expect(told(nft.filter((name) => name !== "br_netfilter"))).toEqual([
      {
        level: "error",
        name: "KernelModules-br_netfilter",
        message: "this kernel has no br_netfilter, for Services between pods of one node",
        fix: "use a kernel that is built with it, or with the module br_netfilter (CONFIG_BRIDGE_NETFILTER)",
      },
    ]);
    expect(told(nft.filter((name) => name !== "nft_compat"))[0]!.message).toBe(
      "this kernel has neither nft_compat nor ip_tables and iptable_nat, for kube-proxy's rules, by iptables of either kind",
    );
    expect(told(nft.filter((name) => name !== "xt_recent"))).toMatchObject([{ level: "warning" }]);
    expect(told(links, { flat: true })).toEqual([]);
    expect(told([], {})).toEqual([]);
    expect(told(["ip_vs"], { proxyMode: "ipvs" }).map(({ name }) => name)).toContain("KernelModules-ip_vs_rr");
    const modern = ["nf_tables", "nft_ct", "nft_nat", "nft_masq", "nft_numgen", "nft_reject"];
    expect(told(modern, { proxyMode: "nftables" })).toEqual([]);
    const old = kernel({ modules: new Set(modern), modulesListed: true, release: "5.10.110" });
    expect(verifyNetworkKernel(old, { proxyMode: "nftables" })).toMatchObject([
      { level: "error", message: "kube-proxy's mode nftables needs Linux 5.13, and this is 5.10.110" },
    ]);
    // A kernel that was updated, and not started since.
    const updated = kernel({ modules: new Set(nft.slice(1)), config: built("NF_TABLES=m"), release: "6.1.0-13-amd64" });
    expect(verifyNetworkKernel(updated, needs).at(0)!.fix).toContain(
      "its module nf_tables is not below /lib/modules/6.1.0-13-amd64; after an update of the kernel reboot",
    );
  });

  test("Docker's packet filter drops what it is to forward", () => {
    expect(dropsForwarded("-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n")).toBe(true);
    expect(dropsForwarded("-P FORWARD ACCEPT\n-A FORWARD -j DROP\n")).toBe(false);
  });
});

test("an API server that nobody may ask is warned of before its probes fail", async () => {
  const check = INIT_CHECKS.find(({ name }) => name === "AnonymousAuth")!;
  const found = (args: string) =>
    check.run({ config: configFrom(`${MINIMAL}apiServer: {extraArgs: [${args}]}\n`) } as PreflightContext);
  expect(await found('{name: anonymous-auth, value: "false"}')).toMatchObject([{ level: "warning" }]);
  for (const fine of ['{name: anonymous-auth, value: "true"}', '{name: v, value: "4"}', ""])
    expect(await found(fine)).toEqual([]);
});

describe("where containerd keeps its layers", () => {
  const MOUNTS = `22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/root rw
30 22 0:26 / /var rw,relatime shared:2 - overlay overlay rw,lowerdir=/a,upperdir=/b,workdir=/c
31 30 0:27 / /var/lib/my\\040disk rw shared:3 - nfs4 server:/export rw,vers=4.2
32 30 0:28 / /var/lib/containerd rw - tmpfs tmpfs rw
33 30 0:29 / /var/lib/containerd rw - xfs /dev/sda1 rw
`;
  test("is found in the table of mounts", () => {
    const at = (path: string) => fileSystemOf(MOUNTS, path);
    expect(at("/home")).toEqual({ mountPoint: "/", type: "ext4" });
    expect(at("/various")).toEqual({ mountPoint: "/", type: "ext4" });
    expect(at("/var/lib")).toEqual({ mountPoint: "/var", type: "overlay" });
    expect(at("/var/lib/my disk/x")).toEqual({ mountPoint: "/var/lib/my disk", type: "nfs4" });
    expect(at("/var/lib/containerd/io")).toEqual({ mountPoint: "/var/lib/containerd", type: "xfs" });
    expect(fileSystemOf("", "/")).toBeUndefined();
    expect(fileSystemOf("nonsense\n1 2 3\n", "/")).toBeUndefined();
  });

  const storage = (type: string, more: object = {}) => ({
    path: "/var/lib/containerd",
    fileSystem: { mountPoint: "/var", type },
    kernel: kernel(),
    ...more,
  });
  /** What xfs_info prints, the lines that matter. */
  const xfs = (ftype: number) =>
    `meta-data=img                    isize=256    agcount=4, agsize=25600 blks\nnaming   =version 2              bsize=4096   ascii-ci=0, ftype=${ftype}\n`;

  test("must take overlayfs' changes", () => {
    for (const type of ["ext4", "btrfs", "f2fs", "tmpfs", "bcachefs", "constructor"])
      expect({ type, refusal: overlayRefusal(storage(type)) }).toEqual({ type, refusal: undefined });
    for (const type of ["overlay", "nfs", "nfs4", "cifs", "9p", "vfat", "ramfs", "squashfs", "zfs"])
      expect(overlayRefusal(storage(type))).toStartWith(`/var is ${type}`);
    expect(overlayRefusal(storage("xfs", { xfsInfo: xfs(0) }))).toBe("/var is xfs that was made with ftype=0");
    expect(overlayRefusal(storage("xfs", { xfsInfo: xfs(1) }))).toBeUndefined();
    expect(overlayRefusal(storage("zfs", { zfsVersion: "2.1.15-1" }))).toContain("overlayfs needs OpenZFS 2.2");
    expect(overlayRefusal(storage("zfs", { zfsVersion: "2.2.0-1" }))).toBeUndefined();
    const bare = kernel({ config: built("UBIFS_FS=y TMPFS=y") });
    expect(overlayRefusal(storage("ubifs", { kernel: bare }))).toBe(
      "/var is ubifs, and this kernel is built without CONFIG_UBIFS_FS_XATTR",
    );
    expect(verifyStorage(storage("nfs4"))).toMatchObject([
      {
        level: "error",
        message: expect.stringContaining("containerd cannot use overlayfs in /var/lib/containerd: /var is nfs4"),
      },
    ]);
    expect(verifyStorage(storage("tmpfs"))).toMatchObject([{ level: "warning" }]);
    expect(verifyStorage(storage("ext4"))).toEqual([]);
  });
});

test("SELinux and AppArmor are told where they would stop containers", () => {
  const security = (enforcing: boolean, containers: boolean, enabled = false, parser = false) => ({
    selinux: { enforcing, containers },
    apparmor: { enabled, parser },
  });
  expect(verifySelinux(security(true, false))).toMatchObject([
    { level: "error", fix: expect.stringContaining("container-selinux") },
  ]);
  for (const fine of [security(true, true), security(false, false)]) expect(verifySelinux(fine)).toEqual([]);
  const levels = (version: string | undefined, ...facts: [boolean, boolean]) =>
    verifyApparmor(security(false, false, ...facts), version).map(({ level }) => level);
  expect(levels("1.6.8", true, false)).toEqual(["error"]);
  expect(levels("1.6.20", true, false)).toEqual(["warning"]);
  expect(levels("2.1.9", true, false)).toEqual(["warning"]);
  expect(levels(undefined, true, false)).toEqual(["warning"]);
  expect(levels("1.6.8", true, true)).toEqual([]);
  expect(levels("1.6.8", false, false)).toEqual([]);
});

describe("somebody else's containerd configuration", () => {
  const wants = {
    criSocket: "unix:///run/containerd/containerd.sock",
    mirrors: true,
  };
  const verified = (text: string, changes: Partial<typeof wants> = {}, more: Record<string, string> = {}) => {
    const root = fs.mkdtempSync(join(tmpdir(), "kubestick-toml-"));
    try {
      const files = new Files(root);
      files.write("/etc/containerd/config.toml", text);
      for (const [path, content] of Object.entries(more)) files.write(path, content);
      const existing = readExistingContainerd(files, "/etc/containerd/config.toml")!;
      return verifyContainerdConfig(existing, { ...wants, ...changes }).map(
        ({ level, message, fix }) => `${level}: ${message}; ${fix}`,
      );
    } finally {
      fs.rmSync(root, { recursive: true });
    }
  };
  const PATH = '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"\n';

  test("without the CRI is found with its file and line", () => {
    const [found] = verified(`#  Docker\n\ndisabled_plugins = ["cri"]\nversion = 2\n${PATH}`);
    expect(found).toBe(
      'error: /etc/containerd/config.toml:3 switches containerd\'s CRI plugin off (disabled_plugins names "cri", as Docker\'s packages write it); take "cri" out of that line and restart containerd (systemctl restart containerd), which leaves containers running',
    );
    expect(
      verified(
        `imports = ["/etc/containerd/conf.d/*.toml"]\n${PATH}`,
        {},
        {
          "/etc/containerd/conf.d/a.toml": 'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n',
          "/etc/containerd/conf.d/a.txt": "not even TOML",
        },
      ),
    ).toEqual([expect.stringContaining("/etc/containerd/conf.d/a.toml:1 switches")]);
  });

  test("that reads mirrors elsewhere is told, and one that reads ours is not", () => {
    expect(verified(PATH)).toEqual([]);
    expect(verified(PATH.replace("certs.d", "certs.d/:/etc/docker/certs.d"))).toEqual([]);
    expect(verified("version = 2\n")).toEqual([
      expect.stringContaining("/etc/containerd/config.toml has no registry config_path"),
    ]);
    const other = `version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\n# config_path\nconfig_path = '/etc/certs.d'\n`;
    expect(verified(other)).toEqual([
      expect.stringContaining('/etc/containerd/config.toml:4 has config_path = "/etc/certs.d"'),
    ]);
    expect(verified(other, { mirrors: false })).toEqual([]);
  });

  test("with another socket, root, networks or plugins is understood", () => {
    const grpc = '[grpc]\naddress = "/run/other/containerd.sock"\n';
    expect(verified(PATH + grpc)).toEqual([
      expect.stringContaining("give --cri-socket unix:///run/other/containerd.sock"),
    ]);
    expect(verified(PATH + grpc, { criSocket: "unix:///run/other/containerd.sock" })).toEqual([]);
    expect(verified('disabled_plugins = ["cri"]', { criSocket: "unix:///run/k3s/containerd/containerd.sock" })).toEqual(
      [],
    );
    const cni = '[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/none/cni"\nconf_dir = "/opt/net.d"\n';
    expect(verified(PATH + cni)).toEqual([
      expect.stringContaining("looks for networks in /opt/net.d (conf_dir)"),
      expect.stringContaining("looks for CNI plugins in /none/cni (bin_dir), and there are none"),
    ]);
    const two = "[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/none/cni', '/opt/cni/bin/']\n";
    expect(verified(PATH + two)).toEqual([]);
  });

  test("that is none is named, however it is broken, and imports in a circle end", () => {
    for (const text of ["[plugins", "a = 1\na = 2", "\0\x01", "[".repeat(50_000), `a=${"[".repeat(50_000)}`])
      expect(verified(text, { mirrors: false })).toEqual([
        expect.stringContaining("error: containerd cannot read its configuration /etc/containerd/config.toml: "),
      ]);
    const circle = 'imports = ["/etc/containerd/config.toml", "a.toml", 5]\n';
    expect(verified(circle, { mirrors: false }, { "/etc/containerd/a.toml": circle })).toEqual([]);
    for (const text of ["plugins = 5", "plugins = [1]", "disabled_plugins = 5\nimports = {}", "grpc = []\nroot = 3"])
      expect(verified(text, { mirrors: false })).toEqual([]);
  });
});
