import * as fs from "node:fs";
import { basename, join } from "node:path";
import { formatLock, type LockedBinary, type LockedImage } from "../../lib/bundle/lock.ts";
import { hostBinaryKind } from "../../lib/constants/host-binaries.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { run, tryRun } from "../../lib/host/process.ts";
import { binary, componentImages, componentVersions } from "./binaries.ts";
import { sha256File, type TestRegistry } from "./registry.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";

/** The host binaries of this machine and of the components, packed and named as upstream publishes them. */
export function publishHostBinaries(dir: string): LockedBinary[] {
  fs.rmSync(dir, { recursive: true, force: true });
  fs.mkdirSync(dir, { recursive: true });
  const { kubernetes } = componentVersions();
  const version = (program: string) => `v${/(\d+\.\d+\.\d+)/.exec(tryRun(program, ["--version"]).stdout)?.[1]}`;
  const pack = (name: string, from: string, members: Record<string, string>) => {
    const tree = join(dir, `tree-${name}`);
    for (const [member, source] of Object.entries(members)) {
      fs.mkdirSync(join(tree, member, ".."), { recursive: true });
      fs.copyFileSync(fs.realpathSync(source), join(tree, member));
      fs.chmodSync(join(tree, member), 0o755);
    }
    run("tar", ["-C", tree, "-I", "gzip -1", "-cf", join(dir, from), ...Object.keys(members)], 120_000);
    fs.rmSync(tree, { recursive: true });
    return from;
  };
  const containerd = version("containerd");
  const programs = ["containerd", "containerd-shim-runc-v2", "ctr"];
  const files: [string, string, string][] = [
    [
      "containerd",
      containerd,
      pack(
        "containerd",
        `containerd-${containerd.slice(1)}-linux-${ARCH}.tar.gz`,
        Object.fromEntries(programs.map((name) => [`bin/${name}`, findProgram(name)!])),
      ),
    ],
    [
      "cni-plugins",
      "v1.1.1",
      pack(
        "cni",
        `cni-plugins-linux-${ARCH}-v1.1.1.tgz`,
        Object.fromEntries(fs.readdirSync("/usr/lib/cni").map((name) => [name, `/usr/lib/cni/${name}`])),
      ),
    ],
  ];
  for (const [name, source, title, v] of [
    ["runc", findProgram("runc")!, `runc.${ARCH}`, version("runc")],
    ["kubelet", binary("kubelet"), "kubelet", kubernetes],
    ["kubectl", binary("kubectl"), "kubectl", kubernetes],
  ] as const) {
    fs.copyFileSync(fs.realpathSync(source), join(dir, title));
    files.push([name, v, title]);
  }
  return files.map(([name, v, title]) => {
    if (!hostBinaryKind(name)) throw new Error(`no such host binary: ${name}`);
    return { name, version: v, files: { [ARCH]: { url: title, sha256: sha256File(join(dir, title)) } } };
  });
}

/** Pushes the control plane's images to a registry and pins what it says of them, by another tool than kubestick. */
export function publishImages(work: string, registry: TestRegistry): LockedImage[] {
  const archive = componentImages(work);
  const index = JSON.parse(run("tar", ["-xOf", archive, "index.json"])) as {
    manifests: { annotations: Record<string, string> }[];
  };
  return index.manifests.map(({ annotations }) => {
    const name = annotations["org.opencontainers.image.ref.name"]!;
    const path = name.replace(/^registry\.k8s\.io\//, "");
    registry.push(`oci-archive:${archive}:${name}`, path);
    const raw = run("skopeo", [
      "inspect",
      "--raw",
      "--tls-verify=false",
      `docker://127.0.0.1:${registry.port}/${path}`,
    ]);
    const digest = new Bun.CryptoHasher("sha256").update(raw).digest("hex");
    const { mediaType } = JSON.parse(raw) as { mediaType: string };
    return { name, manifests: { [ARCH]: { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(raw) } } };
  });
}

/** Writes a lock of the components, its binaries at a download site. */
export function writeLock(file: string, images: LockedImage[], binaries: LockedBinary[], site: string): void {
  const located = binaries.map((b) => ({
    ...b,
    files: Object.fromEntries(
      Object.entries(b.files).map(([arch, f]) => [arch, { ...f, url: `${site}/${basename(f.url)}` }]),
    ),
  }));
  fs.writeFileSync(file, formatLock({ kubernetesVersion: componentVersions().kubernetes, images, binaries: located }));
}
