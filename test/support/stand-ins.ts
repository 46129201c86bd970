import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "../../lib/host/process.ts";

/** The images of Kubernetes v1.36.2, as kubestick's own table has them, without their registry. */
export const UPSTREAM_IMAGES = [
  "kube-apiserver:v1.36.2",
  "kube-controller-manager:v1.36.2",
  "kube-scheduler:v1.36.2",
  "kube-proxy:v1.36.2",
  "etcd:3.6.8-0",
  "coredns/coredns:v1.14.2",
  "pause:3.10.2",
];

/** Stand-ins of the host binaries, named as upstream publishes them. */
export function standInBinaries(work: string, arch: string): string[] {
  const dir = join(work, "published", arch);
  const tree = join(work, `tree-${arch}`);
  fs.mkdirSync(dir, { recursive: true });
  const program = (path: string) => {
    fs.mkdirSync(join(tree, path, ".."), { recursive: true });
    fs.writeFileSync(join(tree, path), `#!/bin/sh\necho ${path} ${arch} v1.2.3\n`, { mode: 0o755 });
  };
  const archive = (name: string, members: string[]) => {
    for (const member of members) program(member);
    run("tar", [
      "-C",
      tree,
      "--sort=name",
      "--mtime=@0",
      "--owner=0",
      "--group=0",
      "-czf",
      join(dir, name),
      ...members,
    ]);
  };
  archive(`containerd-2.4.1-linux-${arch}.tar.gz`, [
    "bin/containerd",
    "bin/containerd-shim-runc-v2",
    "bin/ctr",
    "bin/containerd-stress",
  ]);
  archive(`cni-plugins-linux-${arch}-v1.9.1.tgz`, ["./bridge", "./host-local", "./loopback", "./portmap"]);
  archive(`crictl-v1.36.0-linux-${arch}.tar.gz`, ["crictl"]);
  for (const name of [`runc.${arch}`, "kubelet", "kubectl"]) {
    // Not the real ones: a program's head of this architecture, and bytes that are the same each time.
    const head = Buffer.alloc(20);
    head.write("\x7fELF\x02\x01", "latin1");
    head.writeUInt16LE(arch === "amd64" ? 62 : 183, 18);
    fs.writeFileSync(join(dir, name), Buffer.concat([head, Buffer.alloc(3_000_000, `${name}${arch}`)]));
  }
  return fs.readdirSync(dir).map((name) => join(dir, name));
}
