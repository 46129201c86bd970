/** Versions that go with a Kubernetes minor version. */
export interface Companions {
  /** Image tags. */
  etcd: string;
  coredns: string;
  pause: string;
  /** Releases of the host binaries whose version is not Kubernetes' own. */
  binaries: Record<string, string>;
}

const BINARIES = { containerd: "v2.4.1", runc: "v1.5.1", "cni-plugins": "v1.9.1" };

/**
 * What goes with each minor version: the image tags of its own kubeadm's constants.go, and current releases of the host
 * binaries. It is what `init` deploys, what the locks in `bundles/` pin, and what `bundle lock` resolves, where `--image`
 * and `--binary` do not choose others. Newest first.
 */
export const COMPANIONS: Record<string, Companions> = {
  "1.37": { etcd: "3.7.0-0", coredns: "v1.14.6", pause: "3.10.2", binaries: { ...BINARIES, crictl: "v1.37.0" } },
  "1.36": { etcd: "3.6.8-0", coredns: "v1.14.2", pause: "3.10.2", binaries: { ...BINARIES, crictl: "v1.36.0" } },
  "1.35": { etcd: "3.6.6-0", coredns: "v1.13.1", pause: "3.10.1", binaries: { ...BINARIES, crictl: "v1.35.0" } },
  "1.34": { etcd: "3.6.5-0", coredns: "v1.12.1", pause: "3.10.1", binaries: { ...BINARIES, crictl: "v1.34.0" } },
};
