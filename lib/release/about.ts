import { EMBEDDED_LOCKS } from "../bundle/embedded.ts";
import { lacking, parseLock } from "../bundle/lock.ts";
import { ARCHITECTURES } from "../constants/oci.ts";
import { TESTED } from "../constants/tested.ts";
import {
  KUBERNETES_VERSION,
  MINIMUM_CONTROL_PLANE_VERSION,
  NEWEST_CONTROL_PLANE_VERSION,
} from "../constants/versions.ts";

/** The file of a release that says which versions of Kubernetes it is for. */
export const RELEASE_FILE = "RELEASE";

const minor = (version: string) => version.replace(/\.\d+$/, "");

/** What a release is for and what it was tested with, as text. The same sources give the same text. */
export function aboutRelease(release: { version: string; runtime: string }): string {
  const pinned = Object.entries(EMBEDDED_LOCKS).map(([file, text]) => {
    const lock = parseLock(text, file);
    const holes = lacking(lock, Object.keys(ARCHITECTURES)).map(
      ({ what, archs }) => `${what} for ${archs.join(" and ")}`,
    );
    return `${lock.kubernetesVersion}${holes.length > 0 ? `, without ${holes.join(", ")}` : ""}`;
  });
  const tested = TESTED.map(
    (t) => `Kubernetes ${t.kubernetes}, etcd ${t.etcd}, CoreDNS ${t.coredns}, containerd ${t.containerd}: ${t.what}`,
  );
  const list = (items: string[]) => items.map((item) => `  ${item}\n`).join("");
  return `kubestick v${release.version}, with the runtime bun ${release.runtime}
installs Kubernetes ${KUBERNETES_VERSION} where no other version is asked for
deploys control planes of ${minor(MINIMUM_CONTROL_PLANE_VERSION)} to ${minor(NEWEST_CONTROL_PLANE_VERSION)}
pins for kubestick bundle create:
${list(pinned)}tested end to end with:
${list(tested)}`;
}
