import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { Files } from "../../lib/host/files.ts";
import { Ledger } from "../../lib/host/ledger.ts";
import { Sandbox } from "../support/bare-sandbox.ts";
import { CLEAN, ended, leftOf, useHost } from "../support/used-host.ts";

let host: Sandbox;
beforeEach(async () => {
  host = await Sandbox.make();
});
afterEach(() => host.end());

const reset = (...flags: string[]) => host.kubestick(["reset", "--force", ...flags]);
const KEPT = "/var/lib/kubestick/replaced";
const LEDGER = "/var/lib/kubestick/ledger.json";

/** The ledger in the sandbox, which this process writes as a run in there would. */
function ledger(): Ledger {
  return new Ledger(new Files(host.path("/")));
}

/** Replaces files of somebody else, as init and join do. */
function replace(...paths: string[]): void {
  for (const path of paths) ledger().replace(path, "kubestick's\n", { mode: 0o644 });
}

/** Mode, owner, time and text of files; of links where they lead. */
const stateOf = (...paths: string[]) =>
  host.must(paths.map((path) => `stat -c '%A %u %g %N' '${path}'; stat -Lc %Y '${path}'; cat '${path}'`).join("\n"));

describe("what init and join replaced", () => {
  test("is put back with its bytes, mode, owner and time; nothing else is left", () => {
    host.must(`mkdir -p /var/lib/kubelet /etc/containerd
      echo package >/var/lib/kubelet/config.yaml; chmod 640 /var/lib/kubelet/config.yaml; chown 12:34 /var/lib/kubelet/config.yaml
      echo theirs >/etc/containerd/config.toml; touch -d @1000000 /etc/containerd/config.toml /var/lib/kubelet/config.yaml`);
    const [kubelet, containerd] = ["/var/lib/kubelet/config.yaml", "/etc/containerd/config.toml"];
    const before = stateOf(kubelet, containerd);
    // The sandbox has a file system for each of /etc and /var: one is linked, the other is copied.
    replace(kubelet, containerd);
    useHostBesides();
    expect(host.read(kubelet) + host.read(containerd)).toBe("kubestick's\nkubestick's\n");
    const dry = reset("--dry-run");
    expect(dry.stdout).toContain(`Would put back what was at ${kubelet} before\n`);
    expect(host.read(kubelet)).toBe("kubestick's\n");
    expect(ended(reset())).toEqual(CLEAN);
    expect(stateOf(kubelet, containerd)).toBe(before);
    expect(leftOf(host)).toEqual(["/var/lib/kubelet/", kubelet]);
    expect(host.must("find /etc/containerd")).toBe("/etc/containerd\n/etc/containerd/config.toml\n");
  });

  /** What init leaves besides, whose ledger takes the replaced files' entries over. */
  function useHostBesides(): void {
    const own = JSON.parse(host.read(LEDGER)) as object;
    host.must("mv /var/lib/kubelet/config.yaml /mnt/config; mv /var/lib/kubestick/replaced /mnt/replaced");
    useHost(host);
    host.must("mv /mnt/config /var/lib/kubelet/config.yaml; mv /mnt/replaced /var/lib/kubestick/replaced");
    const made = JSON.parse(host.read(LEDGER)) as object;
    fs.writeFileSync(host.path(LEDGER), JSON.stringify({ ...made, ...own }));
  }

  test("a dry run on another root keeps what it replaces there", () => {
    host.must(
      "mkdir -p /mnt/root/var/lib/kubelet; echo package >/mnt/root/var/lib/kubelet/config.yaml; chmod 640 /mnt/root/var/lib/kubelet/config.yaml",
    );
    const words = ["init", "--dry-run", "--rootfs", "/mnt/root", "--apiserver-advertise-address", "10.0.0.5"];
    expect(host.kubestick(words).status).toBe(0);
    expect(host.read("/mnt/root/var/lib/kubelet/config.yaml")).toContain("kind: KubeletConfiguration");
    host.must("for d in etc var; do cp -a /mnt/root/$d/. /$d/; done");
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.must("stat -c %a /var/lib/kubelet/config.yaml; cat /var/lib/kubelet/config.yaml")).toBe(
      "640\npackage\n",
    );
    expect(leftOf(host)).toEqual(["/var/lib/kubelet/", "/var/lib/kubelet/config.yaml"]);
  });

  test("programs are put back, and a link as a link", () => {
    host.must(`mkdir -p /opt/kubestick/bin /opt/cni/bin; echo theirs >/opt/kubestick/bin/real; chmod 755 /opt/kubestick/bin/real
      ln -s real /opt/kubestick/bin/kubelet; echo bridge >/opt/cni/bin/bridge; chmod 4755 /opt/cni/bin/bridge`);
    const before = stateOf("/opt/kubestick/bin/kubelet", "/opt/cni/bin/bridge");
    const paths = ["/opt/kubestick/bin/kubelet", "/opt/cni/bin/bridge"];
    for (const path of paths) ledger().keep(path);
    const installed = (...files: string[]) => ({ version: "v1.36.2", digest: "sha256:0", files });
    ledger().noteBinary("kubelet", installed(paths[0]!));
    ledger().noteBinary("cni-plugins", installed(paths[1]!, "/opt/cni/bin/portmap"));
    for (const path of [...paths, "/opt/cni/bin/portmap"]) host.must(`rm -f ${path}; echo ours >${path}`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(stateOf(...paths)).toBe(before);
    expect(host.must("ls /opt/kubestick/bin /opt/cni/bin")).not.toContain("portmap");
  });

  test("a reset that was killed is gone on with: what it had put back stays", () => {
    host.must(
      "mkdir -p /var/lib/kubelet /etc/containerd; for f in /var/lib/kubelet/config.yaml /etc/containerd/config.toml; do echo theirs >$f; done",
    );
    replace("/var/lib/kubelet/config.yaml", "/etc/containerd/config.toml");
    // As after a reset that came as far as this.
    host.must(`rm /etc/containerd/config.toml /var/lib/kubelet/config.yaml; cp -p ${KEPT}/etc/containerd/config.toml /etc/containerd/
      ln ${KEPT}/var/lib/kubelet/config.yaml /var/lib/kubelet/config.yaml`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.must("cat /var/lib/kubelet/config.yaml /etc/containerd/config.toml")).toBe("theirs\ntheirs\n");
    expect(host.sh("ls /var/lib/kubestick").stdout).toBe("");
  });

  test("what was kept and never replaced stays, and is not overwritten where it was edited since", () => {
    const [config, rules] = ["/etc/containerd/config.toml", "/etc/sysctl.d/99-kubestick.conf"];
    host.must(`mkdir -p /etc/containerd /etc/sysctl.d; echo theirs >${config}; echo theirs >${rules}`);
    for (const path of [config, rules]) {
      ledger().keep(path);
      ledger().claim(path);
    }
    expect(reset("--dry-run").stdout).not.toContain(`Would remove ${config}`);
    host.must("echo theirs >/etc/containerd/edited");
    ledger().keep("/etc/containerd/edited");
    host.must("echo edited >>/etc/containerd/edited");
    const out = reset();
    expect(out.status).toBe(1);
    expect(out.stderr).toContain(
      `${KEPT}/etc/containerd/edited: it was /etc/containerd/edited before kubestick, and what is there now is somebody's work`,
    );
    expect(host.must(`cat ${config} ${rules} /etc/containerd/edited`)).toBe("theirs\ntheirs\ntheirs\nedited\n");
    host.must(`mv ${KEPT}/etc/containerd/edited /mnt/`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.read("/etc/containerd/edited")).toBe("theirs\nedited\n");
  });

  test("a file that was changed since stays without --force, and what was there before is kept", () => {
    host.must("mkdir -p /etc/containerd; echo theirs >/etc/containerd/config.toml");
    replace("/etc/containerd/config.toml");
    host.must("echo edited >>/etc/containerd/config.toml");
    const out = host.sh(`echo y | ${host.words("reset")}`);
    expect(out.status).toBe(1);
    expect(out.stderr).toContain("/etc/containerd/config.toml was changed since kubestick wrote it, and stays");
    expect(out.stderr).toContain(`${KEPT}/etc/containerd/config.toml: it was`);
    expect(host.read("/etc/containerd/config.toml")).toBe("kubestick's\nedited\n");
    expect(host.read(`${KEPT}/etc/containerd/config.toml`)).toBe("theirs\n");
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.read("/etc/containerd/config.toml")).toBe("theirs\n");
  });

  test("what was kept and is damaged is not put back, and said", () => {
    host.must("mkdir -p /etc/containerd; echo theirs >/etc/containerd/config.toml");
    replace("/etc/containerd/config.toml");
    host.must(`truncate -s 0 ${KEPT}/etc/containerd/config.toml`);
    const out = reset();
    expect(out.status).toBe(1);
    expect(out.stderr).toContain("and cannot be put back: it is damaged\n");
    expect(host.sh("test -e /etc/containerd/config.toml").status).toBe(1);
    expect(host.sh(`test -e ${KEPT}/etc/containerd/config.toml`).status).toBe(0);
  });

  test("without a ledger, what was kept says itself where it was", () => {
    host.must(
      "mkdir -p /etc/containerd /var/lib/kubelet; for f in /etc/containerd/config.toml /var/lib/kubelet/config.yaml; do echo theirs >$f; done",
    );
    replace("/etc/containerd/config.toml", "/var/lib/kubelet/config.yaml");
    host.must(`for f in ${LEDGER} ${LEDGER}.previous; do truncate -s 0 $f; truncate -s 4096 $f; done
      rm /etc/containerd/config.toml`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.must("cat /etc/containerd/config.toml /var/lib/kubelet/config.yaml")).toBe("theirs\ntheirs\n");
  });
});

describe("a ledger that was tampered with", () => {
  test("puts nothing anywhere but where kubestick writes, and over no link", () => {
    useHost(host);
    const named = [
      "/home/alice/photo",
      "/etc/passwd2",
      "/etc/kubernetes/../../home/alice/photo",
      "/etc/kubernetes/link/photo",
      "/usr/bin/other",
      "/opt/cni/bin/../../../home/alice/kubelet",
      "/etc/containerd/up",
      "",
      "relative",
      "/etc/kubernetes/\u0000",
    ];
    host.must(`mkdir -p /home/alice /etc/kubernetes /etc/containerd ${KEPT}/home/alice ${KEPT}/etc/kubernetes/link ${KEPT}/etc/containerd ${KEPT}/usr/bin
      for f in home/alice/photo home/alice/kubelet etc/passwd2 etc/kubernetes/link/photo usr/bin/other; do echo planted >${KEPT}/$f; done
      ln -s /home/alice /etc/kubernetes/link; ln -s /home/alice/photo ${KEPT}/etc/containerd/up`);
    const planted = host.must(`sha256sum ${KEPT}/home/alice/photo`).slice(0, 64);
    const entries = named.map((path) => [
      `original:${path}`,
      { type: "original", ...(path.endsWith("/up") ? { link: "/home/alice/photo" } : { sha256: planted }) },
    ]);
    const own = JSON.parse(host.read(LEDGER)) as object;
    fs.writeFileSync(host.path(LEDGER), JSON.stringify({ ...own, ...Object.fromEntries(entries) }));
    const out = reset();
    expect(out.status).toBe(1);
    expect(host.must("ls -A /home/alice")).toBe("");
    expect(host.sh("ls /etc/passwd2 /usr/bin/other").stdout).toBe("");
    for (const path of ["/home/alice/photo", "/usr/bin/other", "relative"])
      expect(out.stderr).toContain(`the ledger names ${path} as replaced, where kubestick replaces nothing by itself`);
    expect(out.stderr).toContain("/etc/kubernetes/link/photo");
    // What lies there is somebody's: it does not go with the rest.
    expect(host.read(`${KEPT}/home/alice/photo`)).toBe("planted\n");
    // A link is put back as one, and written through by nobody.
    expect(host.must("readlink /etc/containerd/up")).toBe("/home/alice/photo\n");
  });

  test("changes no kernel setting but those that kubestick makes", () => {
    useHost(host);
    host.must("echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter");
    const note = (name: string, before: string) => ledger().noteSysctl(name, before, "1");
    note("net.ipv4.ip_forward", "0");
    note("net.ipv4.conf.all.rp_filter", "0");
    note("../../../etc/x", "0");
    const out = reset();
    expect(ended(out)).toEqual(CLEAN);
    expect(out.stdout).toContain("Set net.ipv4.ip_forward back to 0\n");
    expect(host.must("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter")).toBe("0\n1\n");
  });
});

test("a kernel setting stays where somebody else's network may need it, or somebody gave it another value", () => {
  useHost(host);
  host.must("ip link add br-other type bridge; echo 1 >/proc/sys/net/ipv4/ip_forward");
  ledger().noteSysctl("net.ipv4.ip_forward", "0", "1");
  const out = reset();
  expect(out.stdout).toContain("net.ipv4.ip_forward stays 1, and was 0: br-other may need it\n");
  expect(host.read("/proc/sys/net/ipv4/ip_forward")).toBe("1\n");
});

describe("a host that the first versions set up", () => {
  /** Their ledger, and their record of host binaries. */
  function asBefore(): void {
    const now = JSON.parse(host.read(LEDGER)) as Record<string, { sha256?: string[]; claimed?: true }>;
    const old = Object.fromEntries(
      Object.entries(now).map(([path, { sha256 = [], claimed }]) => [
        path,
        claimed || sha256.length === 0 ? ["claimed"] : sha256,
      ]),
    );
    expect(Object.values(old).flat().length).toBeGreaterThan(10);
    fs.writeFileSync(host.path(LEDGER), JSON.stringify(old));
    host.must(
      "mkdir -p /opt/kubestick/bin; echo x >/opt/kubestick/bin/kubelet; rm -f /var/lib/kubestick/ledger.json.previous",
    );
    const record = { kubelet: { version: "v1.36.2", digest: "sha256:0", files: ["/opt/kubestick/bin/kubelet"] } };
    fs.writeFileSync(host.path("/var/lib/kubestick/host-binaries.json"), JSON.stringify(record));
  }

  test("is reset to the last file", () => {
    useHost(host);
    asBefore();
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
    expect(host.sh("ls /opt/kubestick").stdout).toBe("");
  });

  test("keeps its own files when it is changed by this one, and is reset then", () => {
    useHost(host);
    asBefore();
    host.must("rm /etc/kubernetes/scheduler.conf");
    const words = ["init", "phase", "kubeconfig", "scheduler", "--apiserver-advertise-address", "10.0.0.5"];
    expect(ended(host.kubestick(words))).toEqual(CLEAN);
    expect(host.sh("ls /var/lib/kubestick").stdout).not.toContain("host-binaries.json");
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
    expect(host.sh("ls /opt/kubestick").stdout).toBe("");
  });
});
