import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { Sandbox } from "../support/bare-sandbox.ts";
import { CLEAN, ended, leftOf, useHost, VOLUME } from "../support/used-host.ts";

let host: Sandbox;
beforeEach(async () => {
  host = await Sandbox.make();
});
afterEach(() => host.end());

const reset = (...flags: string[]) => host.kubestick(["reset", "--force", ...flags]);

describe("reset", () => {
  test("leaves nothing, nor the locks and temporary files of runs that were killed", () => {
    useHost(host);
    host.must(`touch /var/lib/kubestick/lock /etc/kubernetes/.admin.conf.999999-1-0123456789ab.kubestick`);
    expect(reset("--dry-run").stdout).toContain("Would remove /etc/kubernetes/pki/ca.key\n");
    expect(host.read("/etc/kubernetes/pki/ca.key")).toContain("PRIVATE KEY");
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
  });

  const LINKED = {
    "/var/lib/kubelet": "mkdir /mnt/disk/kubelet; ln -s /mnt/disk/kubelet /var/lib/kubelet",
    "/var/lib": "cp -a /var/lib /mnt/disk/; mv /var/lib /var/lib.old; ln -s ../mnt/disk/lib /var/lib",
  };
  for (const [what, link] of Object.entries(LINKED)) {
    test(`unmounts a pod's volume, and keeps its data, where ${what} is a link to another disk`, () => {
      host.must(`mkdir -p /mnt/disk /srv/data; mount -t tmpfs disk /mnt/disk; ${link}; echo precious >/srv/data/file`);
      useHost(host);
      // A bind mount of a directory on the same file system has the same device number, too.
      host.must(`mkdir -p /mnt/disk/photos; echo precious >/mnt/disk/photos/file
        mount --bind /srv/data /var/lib/kubelet/${VOLUME}; mkdir -p /var/lib/kubelet/pods/2/volumes/v
        mount --bind /mnt/disk/photos /var/lib/kubelet/pods/2/volumes/v`);
      expect(ended(reset())).toEqual(CLEAN);
      expect(host.read("/srv/data/file") + host.read("/mnt/disk/photos/file")).toBe("precious\nprecious\n");
      expect(host.sh("grep -c /kubelet/ /proc/self/mountinfo").stdout).toBe("0\n");
      expect(host.must("find /var/lib/kubelet/ 2>/dev/null || true").split("\n").filter(Boolean).length).toBeLessThan(
        2,
      );
      expect(host.sh("readlink /var/lib/kubelet /var/lib").stdout).toMatch(/mnt\/disk\/(kubelet|lib)\n$/);
    });
  }

  test("needs no umount(8) to unmount, and one that fails changes nothing", () => {
    useHost(host);
    host.must(`mkdir -p /srv/data /opt/bad; echo precious >/srv/data/file
      printf '#!/bin/sh\\nexit 1\\n' >/opt/bad/umount; chmod 755 /opt/bad/umount
      mount --bind /srv/data /var/lib/kubelet/${VOLUME}`);
    expect(ended(host.kubestick(["reset", "--force"], { PATH: "/opt/bad" }))).toEqual(CLEAN);
    expect(host.read("/srv/data/file")).toBe("precious\n");
    expect(leftOf(host)).toEqual([]);
  });

  test("leaves the kubelet's directory, and says so, where a volume is in use; a second run goes on", () => {
    useHost(host);
    host.must(`mkdir -p /srv/data; echo precious >/srv/data/file; mount --bind /srv/data /var/lib/kubelet/${VOLUME}`);
    const pid = host.must(`cd /var/lib/kubelet/${VOLUME} && { sleep 300 >/dev/null 2>&1 & echo $!; }`).trim();
    const out = reset();
    expect(out.status).toBe(1);
    expect(out.stderr).toContain(
      `/var/lib/kubelet/${VOLUME}: it is still mounted (overlay): in use by ${pid} (sleep)\n`,
    );
    expect(out.stderr).toContain("what to do: ");
    expect(out.stdout).not.toContain("This host is as it was before");
    expect(host.read(`/var/lib/kubelet/${VOLUME}/file`)).toBe("precious\n");
    expect(leftOf(host)).toContain("/var/lib/kubelet/pki/kubelet.key");
    expect(leftOf(host)).toContain("/var/lib/kubestick/ledger.json");
    expect(leftOf(host).filter((path) => path.startsWith("/etc/kubernetes"))).toEqual([]);
    host.must(`kill ${pid}`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
    expect(host.read("/srv/data/file")).toBe("precious\n");
  });

  test("lets go of a busy file system that keeps nothing", () => {
    useHost(host);
    host.must(`mount -t tmpfs t /var/lib/kubelet/${VOLUME}`);
    host.must(`cd /var/lib/kubelet/${VOLUME} && { sleep 300 >/dev/null 2>&1 & }`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
  });

  test("crosses no mount in directories where it unmounts nothing", () => {
    useHost(host);
    host.must(`mkdir -p /srv/data /var/lib/etcd/member/snap /var/log/pods/ns_pod_1b5c/d; echo precious >/srv/data/file
      for d in /var/lib/etcd/member/snap /var/log/pods/ns_pod_1b5c/d; do mount --bind /srv/data $d; done
      mount --bind /srv/data/file /var/log/pods/ns_pod_1b5c/c/0.log`);
    const out = reset();
    expect(out.status).toBe(1);
    for (const path of [
      "/var/lib/etcd/member/snap",
      "/var/log/pods/ns_pod_1b5c/d",
      "/var/log/pods/ns_pod_1b5c/c/0.log",
    ])
      expect(out.stderr).toContain(`  ${path}: something is mounted on it`);
    expect(host.read("/srv/data/file")).toBe("precious\n");
    host.must("umount /var/lib/etcd/member/snap /var/log/pods/ns_pod_1b5c/d /var/log/pods/ns_pod_1b5c/c/0.log");
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
  });

  test("of a directory that is a mount point only what is in it goes, and not lost+found", () => {
    host.must("mkdir -p /var/lib/etcd && mount -t tmpfs t /var/lib/etcd && mkdir /var/lib/etcd/lost+found");
    useHost(host);
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual(["/var/lib/etcd", "/var/lib/etcd/lost+found"]);
  });

  const PLANTED: [string, string, string][] = [
    [
      "of another user",
      "ln -s /srv/theirs /var/log/containers; chown -h 1000 /var/log/containers; chmod 1777 /var/log",
      "belongs to another user (1000)",
    ],
    [
      "to another user's directory",
      "ln -s /srv/theirs /var/log/containers",
      "it leads to /srv/theirs, which belongs to user 1000",
    ],
    [
      "to a home",
      "mkdir -p /home/alice; mv /srv/theirs /home/alice/; ln -s /home/alice/theirs /var/log/containers",
      "it leads to /home/alice/theirs, which others use",
    ],
    ["to a top directory", "ln -s /srv /var/log/containers", "it leads to /srv, which others use"],
  ];
  for (const [what, plant, why] of PLANTED) {
    test(`a link ${what} is not followed`, () => {
      useHost(host);
      host.must(
        `mkdir -p /srv/theirs; echo precious >/srv/theirs/a_b_c.log; chown -R 1000 /srv/theirs; rm -r /var/log/containers; ${plant}`,
      );
      const out = reset();
      expect(out.status).toBe(1);
      expect(out.stderr).toContain(why);
      expect(
        host.must("cat /var/log/containers/a_b_c.log /var/log/containers/theirs/a_b_c.log 2>/dev/null || true"),
      ).toBe("precious\n");
      expect(host.sh("test -L /var/log/containers").status).toBe(0);
    });
  }

  test("through a link only what the component made goes", () => {
    useHost(host);
    host.must(`mkdir -p /mnt/logs; cp -a /var/log/containers/. /mnt/logs/; echo precious >/mnt/logs/diary.log; mkdir /mnt/logs/more
      rm -r /var/log/containers; ln -s /mnt/logs /var/log/containers`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.must("ls /mnt/logs; readlink /var/log/containers")).toBe("diary.log\nmore\n/mnt/logs\n");
  });

  test("takes away the flat network's addresses, and not those of others", () => {
    useHost(host);
    host.must(`mkdir -p /etc/cni/net.d /var/lib/cni/networks/kubestick /var/lib/cni/networks/podman /var/lib/cni/results
      touch /var/lib/cni/networks/kubestick/10.244.0.2 /var/lib/cni/networks/podman/10.88.0.2 /var/lib/cni/results/kubestick-77-eth0 /var/lib/cni/results/podman-77-eth0
      sed -i 's,^{,{"/etc/cni/net.d/10-kubestick.conflist": ["claimed"]\\,,' /var/lib/kubestick/ledger.json`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(host.must("find /var/lib/cni -type f | sort")).toBe(
      "/var/lib/cni/networks/podman/10.88.0.2\n/var/lib/cni/results/podman-77-eth0\n",
    );
  });
});

describe("a ledger that was tampered with", () => {
  test("reaches nothing but files below the directories where kubestick writes", () => {
    useHost(host);
    host.must(`mkdir -p /home/alice/etc /srv/data /etc/kubernetes/dir /opt/app; for f in /home/alice/photo /srv/data/file /opt/app/bin /etc/kubernetes/dir/file /etc/other; do echo precious >$f; done
      ln -s /home/alice /etc/kubernetes/link; ln -s /home/alice/photo /etc/kubernetes/last; ln -s ../../home/alice /var/lib/kubestick/up`);
    const named = [
      "/home/alice",
      "/home/alice/photo",
      "/",
      "",
      ".",
      "..",
      "relative",
      "/srv/data",
      "/opt/app/bin",
      "/etc/other",
      "/etc",
      "/etc/kubernetes",
      "/etc/kubernetes/dir",
      "/etc/kubernetes/../../home/alice/photo",
      "/etc/kubernetes/../other",
      "/etc/kubernetes/./../other",
      "/etc/kubernetes//../other",
      "/etc/kubernetes/link/photo",
      "/etc/kubernetes/last",
      "/var/lib/kubestick/up/photo",
      "/etc/kubernetes2",
      "/var/lib/kubelet/../../../home/alice/photo",
      "/etc/sysctl.d",
      "/etc/kubernetes/\u0000/x",
      "__proto__",
    ];
    const ledger = JSON.parse(host.read("/var/lib/kubestick/ledger.json")) as Record<string, string[]>;
    const tampered = Object.fromEntries([...Object.entries(ledger), ...named.map((path) => [path, ["claimed"]])]);
    fs.writeFileSync(host.path("/var/lib/kubestick/ledger.json"), JSON.stringify(tampered));
    const out = reset();
    for (const path of [
      "/home/alice/photo",
      "/srv/data/file",
      "/opt/app/bin",
      "/etc/other",
      "/etc/kubernetes/dir/file",
    ])
      expect(host.read(path)).toBe("precious\n");
    expect(out.stderr).toContain("the ledger names /home/alice, where kubestick keeps nothing by itself; it stays");
    expect(out.stderr).toContain("the ledger names /etc/kubernetes/dir, which is a directory; it stays");
    expect(out.stderr).toContain("/etc/kubernetes/link/photo: a link or a file is on its way");
    // A link is removed itself, and not what it leads to.
    expect(host.sh("test -L /etc/kubernetes/last").status).toBe(1);
    expect(host.sh("test -e /etc/kubernetes/pki/ca.key").status).toBe(1);
  });

  test("with 2,000 random paths in it, links on many of them, changes nothing elsewhere", () => {
    useHost(host);
    host.must(`mkdir -p /home/alice/pki /srv/alice/pki
      for d in /home/alice /home/alice/pki /srv/alice /srv/alice/pki /etc /opt; do echo precious >$d/photo; echo precious >$d/ca.key; done
      for d in /etc/kubernetes /etc/kubernetes/pki /var/lib/kubelet /var/lib/kubestick; do
        ln -s /home/alice $d/alice; ln -s ../../../home $d/home; ln -s / $d/root; ln -s /srv/alice/photo $d/photo; ln -s .. $d/up
      done`);
    let seed = 20261125;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * n);
    };
    const parts = [
      "..",
      ".",
      "",
      "etc",
      "kubernetes",
      "pki",
      "var",
      "lib",
      "kubelet",
      "kubestick",
      "home",
      "alice",
      "srv",
      "root",
      "up",
      "photo",
      "ca.key",
      "\u0000",
      " ",
    ];
    const starts = [
      "/etc/kubernetes",
      "/etc/kubernetes/pki",
      "/var/lib/kubelet",
      "/var/lib/kubestick",
      "",
      "/",
      "/home",
      "etc",
    ];
    const paths = Array.from({ length: 2_000 }, () =>
      [starts[random(starts.length)], ...Array.from({ length: 1 + random(5) }, () => parts[random(parts.length)])].join(
        "/",
      ),
    );
    fs.writeFileSync(
      host.path("/var/lib/kubestick/ledger.json"),
      JSON.stringify(Object.fromEntries(paths.map((path) => [path, ["claimed"]]))),
    );
    const sums = () =>
      host.must(`find /home/alice /srv /etc /opt -maxdepth 3 -not -path '/etc/kubernetes*' | sort | sha256sum
        sha256sum /home/alice/photo /home/alice/pki/* /srv/alice/photo /srv/alice/pki/* /etc/photo /etc/ca.key /opt/photo /opt/ca.key
        ls /var/lib | grep -v ^kube`);
    const before = sums();
    const out = reset();
    expect(out.stderr).not.toContain("bug in kubestick");
    expect(sums()).toBe(before);
  });

  test("a record of host binaries reaches only the programs that kubestick installs", () => {
    host.must(
      `mkdir -p /home/alice /var/lib/kubestick /opt/cni/bin; for f in /home/alice/kubelet /opt/cni/bin/bridge /opt/cni/bin/other; do echo x >$f; done`,
    );
    const files = ["/usr/bin/env", "/home/alice/kubelet", "/usr/local/bin/../../../home/alice/kubelet"];
    const record = {
      kubelet: { version: "v1.36.2", digest: "sha256:0", files },
      "cni-plugins": { version: "v1.9.1", digest: "sha256:0", files: ["/opt/cni/bin/bridge", "/etc/passwd"] },
      other: { version: "v1", digest: "sha256:0", files: ["/usr/bin/other"] },
    };
    fs.writeFileSync(host.path("/var/lib/kubestick/host-binaries.json"), JSON.stringify(record));
    const out = reset();
    expect(out.status).toBe(0);
    expect(out.stderr.match(/which kubestick does not install by itself/g)).toHaveLength(5);
    expect(host.must("ls /usr/bin/env /home/alice/kubelet /etc/passwd /opt/cni/bin")).toContain("other");
    expect(host.sh("test -e /opt/cni/bin/bridge").status).toBe(1);
  });

  test("etcd's data elsewhere goes only where the static pod names it too, and only etcd's own", () => {
    host.must(`mkdir -p /mnt/ssd/etcd /mnt/other/member`);
    fs.writeFileSync(
      host.path("/mnt/init.yaml"),
      "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.0.0.5}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd: {local: {dataDir: /mnt/ssd/etcd}}\n",
    );
    for (const phase of ["certs", "etcd"]) {
      const out = host.kubestick(["init", "phase", phase, "all", "--config", "/mnt/init.yaml"]);
      expect(ended(out)).toEqual(CLEAN);
    }
    host.must(`mkdir -p /mnt/ssd/etcd/member/wal; touch /mnt/ssd/etcd/member/wal/0; echo precious >/mnt/ssd/etcd/notes
      sed -i 's,^{,{"/mnt/other": ["claimed"]\\,,' /var/lib/kubestick/ledger.json`);
    const out = reset();
    expect(ended(out)).toEqual({ status: 0, stderr: expect.stringContaining("the ledger names /mnt/other,") });
    expect(host.must("find /mnt/ssd /mnt/other | sort")).toBe(
      "/mnt/other\n/mnt/other/member\n/mnt/ssd\n/mnt/ssd/etcd\n/mnt/ssd/etcd/notes\n",
    );
  });
});
