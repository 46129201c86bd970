import { CERTIFICATES_DIR, ETCD_DATA_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import { LOCAL_ETCD } from "../conditions.ts";
import type { ControlPlane } from "../control-plane.ts";
import { type Phase, when } from "../runner.ts";
import { MANIFEST_FLAGS, writeManifest } from "./control-plane.ts";

/** init's phase `etcd`: the static pod of a local etcd. */
export const etcdPhase: Phase<{ cp: ControlPlane }> = {
  name: "etcd",
  short: "Generate static Pod manifest file for local etcd",
  flags: MANIFEST_FLAGS,
  children: [
    when(LOCAL_ETCD, {
      name: "local",
      short: "Generate the static Pod manifest file for a local, single-node local etcd instance",
      flags: MANIFEST_FLAGS,
      inputs: [`${CERTIFICATES_DIR}/etcd`],
      outputs: [ETCD_DATA_DIR, `${MANIFESTS_DIR}/etcd.yaml`],
      run: ({ cp }, step) => {
        claimEtcdData(cp);
        writeManifest(cp, "etcd", step);
      },
    }),
  ],
};

/** Makes etcd's data directory and notes that kubestick began it; gives its path. */
export function claimEtcdData({ node, config }: ControlPlane): string {
  const { dataDir } = config.cluster.etcd.local!;
  node.ledger.claimDirectory(dataDir);
  node.files.mkdir(dataDir, 0o700);
  return dataDir;
}
