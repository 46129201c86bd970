import type { ParsedConfig } from "../config/load.ts";
import { DEFAULT_IMAGE_REPOSITORY } from "../constants/versions.ts";
import { parseReference } from "../oci/reference.ts";
import type { Bundle } from "./bundle.ts";

/** The tag of the bundle's image in a repository that ends so; undefined where it has none. */
function tagOf(bundle: Pick<Bundle, "images">, arch: string, ending: string): string | undefined {
  const image = bundle.images.find(
    (i) => i.arch === arch && i.name !== "" && `/${parseReference(i.name).repository}`.endsWith(`/${ending}`),
  );
  return image && parseReference(image.name).tag;
}

/** The sandbox image that a bundle brings for an architecture. */
export function sandboxImage(bundle: Pick<Bundle, "images">, arch: string): string | undefined {
  return bundle.images.find((i) => i.arch === arch && /\/pause:[^/]+$/.test(i.name))?.name;
}

/**
 * Fills in what a configuration leaves open with what the bundle brings: the Kubernetes version, the tags of etcd and
 * CoreDNS, and that nothing is ever pulled. Where the user names another registry, its images are theirs to choose.
 */
export function applyBundleDefaults(parsed: ParsedConfig, bundle: Bundle, arch: string): void {
  const cluster = { ...parsed.cluster };
  const repository = cluster.imageRepository ?? DEFAULT_IMAGE_REPOSITORY;
  if (!cluster.kubernetesVersion && bundle.kubernetesVersion) cluster.kubernetesVersion = bundle.kubernetesVersion;
  const ours = (own: string | undefined) => (own ?? repository) === DEFAULT_IMAGE_REPOSITORY;
  const etcd = tagOf(bundle, arch, "etcd");
  if (etcd && !cluster.etcd?.external && !cluster.etcd?.local?.imageTag && ours(cluster.etcd?.local?.imageRepository))
    cluster.etcd = { local: { ...cluster.etcd?.local, imageTag: etcd } };
  const dns = tagOf(bundle, arch, "coredns");
  if (dns && !cluster.dns?.imageTag && ours(cluster.dns?.imageRepository))
    cluster.dns = { ...cluster.dns, imageTag: dns };
  parsed.cluster = cluster;
  const node = parsed.init?.nodeRegistration;
  parsed.init = { ...parsed.init, nodeRegistration: { imagePullPolicy: "Never", ...node } };
}
