import type { Cluster } from "../../api/cluster.ts";
import type { LocalEtcd } from "../../config/kinds/control-plane.ts";
import { NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { CLUSTER_FILE } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { dataDamageHint } from "../../etcd/damage.ts";
import type { Files } from "../../host/files.ts";
import { readRecord, writeRecord } from "../../host/record.ts";

/**
 * Refuses to go on with a cluster that is not the one which was made on this host before: an etcd that finds its directory
 * empty, after a power cut or with another card, starts a new and empty cluster without a word. Notes which cluster it is
 * the first time, by the uid of kube-system, which comes back with a backup of etcd. `local` is the etcd that runs here. Throws KubestickError.
 */
export async function expectSameCluster(
  files: Files,
  cluster: Pick<Cluster, "get">,
  local: LocalEtcd | undefined,
): Promise<void> {
  const namespace = await cluster.get("v1", "Namespace", NAMESPACE_SYSTEM);
  const uid = namespace?.metadata["uid"];
  if (typeof uid !== "string") return;
  const { value: before, condition } = readRecord(files, CLUSTER_FILE, parseUid);
  if (before === uid) return;
  if (before === undefined) {
    const damaged = condition === "damaged";
    writeRecord(files, CLUSTER_FILE, `${JSON.stringify({ uid })}\n`, { mode: 0o644, damaged });
    return;
  }
  throw new KubestickError(
    `the API server of this host serves another cluster than the one made here: its Namespace ${NAMESPACE_SYSTEM} has the uid ${uid}, and had ${before}; ${local ? `what was in ${local.dataDir} is lost` : "etcd's data are others"}`,
    { hint: local ? dataDamageHint(local.dataDir) : "look at the endpoints of etcd in the configuration" },
  );
}

function parseUid(text: string): string | undefined {
  const uid = (JSON.parse(text) as { uid?: unknown } | null)?.uid;
  return typeof uid === "string" && /^[0-9a-f-]{1,64}$/.test(uid) ? uid : undefined;
}
