import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Sandbox } from "../support/bare-sandbox.ts";
import { CLEAN, ended, leftOf, useHost } from "../support/used-host.ts";

let host: Sandbox;
beforeEach(async () => {
  host = await Sandbox.make();
});
afterEach(() => host.end());

const reset = (...flags: string[]) => host.kubestick(["reset", "--force", ...flags]);

/** What a power cut leaves of the files that were written last; host.test.ts has more ways. */
const damage = (...files: string[]) =>
  host.must(
    files
      .map((name) => `truncate -s 0 /var/lib/kubestick/${name}; truncate -s 4096 /var/lib/kubestick/${name}`)
      .join("\n"),
  );

describe("a damaged ledger", () => {
  test("its copy is used, and says so; nothing is left", () => {
    useHost(host);
    damage("ledger.json");
    const out = reset();
    expect(ended(out)).toEqual({
      status: 0,
      stderr: "[warn] /var/lib/kubestick/ledger.json is damaged; its copy from before the last change is used\n",
    });
    expect(leftOf(host)).toEqual([]);
  });

  test("with its copy too, a way out is named and nothing is touched", () => {
    useHost(host);
    damage("ledger.json", "ledger.json.previous");
    const before = leftOf(host);
    for (const flags of [[], ["--dry-run"]]) {
      const out = host.kubestick(["reset", ...flags]);
      expect({ status: out.status, stderr: out.stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining(
          "is damaged, and so is its copy (/var/lib/kubestick/ledger.json.previous)\nwhat to do: restore one",
        ),
      });
      expect(out.stderr).toContain("kubestick reset --force removes what kubeadm reset removes");
    }
    const again = host.kubestick(["init", "--dry-run", "--apiserver-advertise-address", "10.0.0.5"]);
    expect({ status: again.status, stderr: again.stderr }).toEqual({
      status: 3,
      stderr: expect.stringContaining("[Ledger]"),
    });
    expect(again.stderr).toContain("kubestick reset --force");
    expect(again.stderr).not.toContain("kubestick did not write it");
    expect(leftOf(host)).toEqual(before);
  });

  test("--force takes what kubeadm's reset takes and what bears kubestick's mark, and leaves other files", () => {
    useHost(host);
    damage("ledger.json", "ledger.json.previous");
    host.must(`mkdir -p /etc/sysctl.d /etc/containerd/certs.d/docker.io /etc/cni/net.d
      echo '# Written by kubestick.' >/etc/sysctl.d/99-kubestick.conf; echo mine >/etc/containerd/config.toml; echo mine >/etc/kubernetes/mine.yaml; echo mine >/etc/kubernetes/manifests/mine.yaml
      echo '# Written by kubestick.' >/etc/containerd/certs.d/docker.io/hosts.toml; echo '{"name": "mynet"}' >/etc/cni/net.d/10-kubestick.conflist`);
    const dry = reset("--dry-run");
    expect(dry.status).toBe(0);
    for (const path of [
      "/etc/kubernetes/admin.conf",
      "/etc/kubernetes/manifests",
      "/etc/kubernetes/pki",
      "/var/lib/etcd",
      "/var/lib/kubelet",
    ])
      expect(dry.stdout).toContain(`Would remove ${path}\n`);
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host).sort()).toEqual([
      "/etc/kubernetes",
      "/etc/kubernetes/manifests",
      "/etc/kubernetes/manifests/mine.yaml",
      "/etc/kubernetes/mine.yaml",
    ]);
    expect(host.must("find /etc/containerd /etc/cni /etc/sysctl.d/99-kubestick.conf -type f 2>/dev/null || true")).toBe(
      "/etc/containerd/config.toml\n/etc/cni/net.d/10-kubestick.conflist\n",
    );
  });

  test("one that is gone from a host that kubestick set up is not taken for a host without kubestick", () => {
    useHost(host);
    host.must("rm /var/lib/kubestick/ledger.json*; mkdir -p /var/lib/kubestick/services");
    const out = host.kubestick(["reset", "--dry-run"]);
    expect(out.status).toBe(1);
    expect(out.stderr).toContain("is gone (/var/lib/kubestick/ledger.json.previous)\nwhat to do: ");
    expect(ended(reset())).toEqual(CLEAN);
    expect(leftOf(host)).toEqual([]);
  });
});
