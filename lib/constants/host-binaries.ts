/** How a host binary's published file becomes programs of a host. */
export interface HostBinaryKind {
  name: string;
  /** Where upstream publishes it; `{version}` has the leading v, `{number}` has not. */
  url: string;
  /** Where its SHA-256 is published: a bare digest, or lines of `digest  file`. */
  checksums: string;
  /** A gzipped tar; else the program itself. */
  archive: boolean;
  /** Members of the archive, without a leading `./`, that are installed; every plain file where it says "all". */
  members?: string[] | "all";
  /** The most that the program, or all members of the archive together, may have: three times what current releases have. */
  maxBytes: number;
  directory: "bin" | "cni";
  /** Arguments that make the first program print its version, and the program's name. */
  version?: { program: string; args: string[] };
}

const GITHUB = "https://github.com";
const MIB = 1024 * 1024;

/** The programs a node needs besides its images, in the order of their installation. */
export const HOST_BINARY_KINDS: HostBinaryKind[] = [
  {
    name: "containerd",
    url: `${GITHUB}/containerd/containerd/releases/download/{version}/containerd-{number}-linux-{arch}.tar.gz`,
    checksums: `${GITHUB}/containerd/containerd/releases/download/{version}/containerd-{number}-linux-{arch}.tar.gz.sha256sum`,
    archive: true,
    members: ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"],
    maxBytes: 512 * MIB,
    directory: "bin",
    version: { program: "containerd", args: ["--version"] },
  },
  {
    name: "runc",
    url: `${GITHUB}/opencontainers/runc/releases/download/{version}/runc.{arch}`,
    checksums: `${GITHUB}/opencontainers/runc/releases/download/{version}/runc.sha256sum`,
    archive: false,
    maxBytes: 64 * MIB,
    directory: "bin",
    version: { program: "runc", args: ["--version"] },
  },
  {
    name: "cni-plugins",
    url: `${GITHUB}/containernetworking/plugins/releases/download/{version}/cni-plugins-linux-{arch}-{version}.tgz`,
    checksums: `${GITHUB}/containernetworking/plugins/releases/download/{version}/cni-plugins-linux-{arch}-{version}.tgz.sha256`,
    archive: true,
    members: "all",
    maxBytes: 512 * MIB,
    directory: "cni",
  },
  {
    name: "crictl",
    url: `${GITHUB}/kubernetes-sigs/cri-tools/releases/download/{version}/crictl-{version}-linux-{arch}.tar.gz`,
    checksums: `${GITHUB}/kubernetes-sigs/cri-tools/releases/download/{version}/crictl-{version}-linux-{arch}.tar.gz.sha256`,
    archive: true,
    members: ["crictl"],
    maxBytes: 256 * MIB,
    directory: "bin",
    version: { program: "crictl", args: ["--version"] },
  },
  ...["kubelet", "kubectl"].map((name): HostBinaryKind => {
    const url = `https://dl.k8s.io/release/{version}/bin/linux/{arch}/${name}`;
    return {
      name,
      url,
      checksums: `${url}.sha256`,
      archive: false,
      maxBytes: 512 * MIB,
      directory: "bin",
      version: { program: name, args: name === "kubelet" ? ["--version"] : ["version", "--client"] },
    };
  }),
];

/** A kind by its name; undefined where kubestick knows none. */
export const hostBinaryKind = (name: string): HostBinaryKind | undefined =>
  HOST_BINARY_KINDS.find((kind) => kind.name === name);
