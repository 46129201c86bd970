import { COMPANIONS } from "../constants/upstream.ts";
import { DEFAULT_IMAGE_REPOSITORY } from "../constants/versions.ts";
import { UsageError } from "../errors.ts";
import { parseVersion } from "../util/version.ts";

/** The images and host binaries of a Kubernetes version, by name and tag. Throws UsageError for a version too old or new. */
export function upstreamOf(
  version: string,
  binaries: Record<string, string> = {},
): { images: string[]; binaries: Record<string, string> } {
  const parsed = parseVersion(version);
  const companions = parsed && COMPANIONS[`${parsed.major}.${parsed.minor}`];
  if (!companions)
    throw new UsageError(
      `kubestick knows no lock for Kubernetes ${version}`,
      `choose one of ${Object.keys(COMPANIONS)
        .map((v) => `v${v}.x`)
        .join(", ")}`,
    );
  const image = (path: string, tag: string) => `${DEFAULT_IMAGE_REPOSITORY}/${path}:${tag}`;
  return {
    images: [
      ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"].map((name) =>
        image(name, version),
      ),
      image("etcd", companions.etcd),
      image("coredns/coredns", companions.coredns),
      image("pause", companions.pause),
    ],
    binaries: { kubelet: version, kubectl: version, ...companions.binaries, ...binaries },
  };
}
