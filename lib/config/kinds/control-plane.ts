import { ETCD_DATA_DIR } from "../../constants/paths.ts";
import * as s from "../schema.ts";
import { argMap, args, envs, strings, text } from "./fields.ts";

// What a ClusterConfiguration says of the static pods of the control plane, in both versions of it.

const volume = s.object(
  {
    name: s.string,
    hostPath: s.string,
    mountPath: s.string,
    readOnly: s.bool,
    pathType: s.oneOf(
      "",
      "DirectoryOrCreate",
      "Directory",
      "FileOrCreate",
      "File",
      "Socket",
      "CharDevice",
      "BlockDevice",
    ),
  },
  ["name", "hostPath", "mountPath"],
);
/** A directory or file of the host in a static pod (kubeadm v1beta4 HostPathMount). */
export type HostPathMount = s.Infer<typeof volume>;

const extraVolumes = s.list(volume);
const certSANs = strings;

const componentFields = { extraArgs: args, extraVolumes, extraEnvs: envs };
/** The controller manager's and the scheduler's. */
export const component = s.object(componentFields);
/** What the user adds to a static pod. */
export type ControlPlaneComponent = s.Infer<typeof component>;
/** The API server's, with further names for its certificate. */
export const apiServer = s.object({ ...componentFields, certSANs });

const componentFieldsV1beta3 = { extraArgs: argMap, extraVolumes };
/** The controller manager's and the scheduler's in v1beta3. */
export const componentV1beta3 = s.object(componentFieldsV1beta3);
/** The API server's in v1beta3, which says how long to wait for the whole control plane. */
export const apiServerV1beta3 = s.object({
  ...componentFieldsV1beta3,
  certSANs,
  timeoutForControlPlane: s.duration,
});

const localFields = {
  imageRepository: text,
  imageTag: text,
  dataDir: s.filled(text, ETCD_DATA_DIR),
  serverCertSANs: strings,
  peerCertSANs: strings,
};
const externalFields = { endpoints: strings, caFile: text, certFile: text, keyFile: text };

const localEtcd = s.object({ ...localFields, extraArgs: args, extraEnvs: envs });
/** An etcd in static pods of the cluster's own. */
export type LocalEtcd = s.Infer<typeof localEtcd>;
const externalEtcd = s.object({ ...externalFields, httpEndpoints: strings }, ["endpoints"]);
/** An etcd that somebody else runs. */
export type ExternalEtcd = s.Infer<typeof externalEtcd>;
/** A cluster's etcd; one of the two. */
export const etcd = s.object({ local: localEtcd, external: externalEtcd });

/** A cluster's etcd in v1beta3. */
export const etcdV1beta3 = s.object({
  local: s.object({ ...localFields, extraArgs: argMap }),
  external: s.object(externalFields, ["endpoints"]),
});
