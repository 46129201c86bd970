/** Versions that go with a Kubernetes minor version. */
export interface Companions {
  etcd: string;
  coredns: string;
  pause: string;
  /** Releases of the host binaries whose version is not Kubernetes' own. */
  binaries: Record<string, string>;
}

const BINARIES = { containerd: "v2.1.9", runc: "v1.3.6", "cni-plugins": "v1.9.1" };

/**
 * What `bundle lock` resolves for each supported minor version: the image tags of kubeadm's own constants.go, and
 * current releases of the host binaries. `--image` and `--binary` choose others.
 */
export const COMPANIONS: Record<string, Companions> = {
  "1.36": { etcd: "3.6.8-0", coredns: "v1.14.2", pause: "3.10.1", binaries: { ...BINARIES, crictl: "v1.36.0" } },
  "1.35": { etcd: "3.6.6-0", coredns: "v1.13.1", pause: "3.10.1", binaries: { ...BINARIES, crictl: "v1.35.0" } },
  "1.34": { etcd: "3.6.5-0", coredns: "v1.12.1", pause: "3.10.1", binaries: { ...BINARIES, crictl: "v1.34.0" } },
};
