import { CERTIFICATES_DIR } from "../../constants/paths.ts";
import { checkAdvertiseAddress, checkEndpoint } from "../checks/addresses.ts";
import { checkAbsolute, checkCertificateKey, checkTimeouts, checkToken } from "../checks/values.ts";
import { withDefaults } from "../fill.ts";
import type { HostDefaults, Kind, NoEffect, Report } from "../kind.ts";
import { checkNode, normalizeNode } from "../node.ts";
import * as s from "../schema.ts";
import {
  bindPort,
  nodeRegistration,
  nodeRegistrationV1beta3,
  patches,
  strings,
  text,
  timeouts,
  V1BETA3,
  V1BETA4,
  withArgList,
} from "./fields.ts";

/** What both versions have of how the cluster is found. */
const discovery = {
  bootstrapToken: s.object({
    token: s.string,
    apiServerEndpoint: text,
    caCertHashes: strings,
    unsafeSkipCAVerification: s.bool,
  }),
  file: s.object({ kubeConfigPath: text }),
  tlsBootstrapToken: text,
};
/** What both versions have. */
const common = {
  caCertPath: s.filled(text, `${CERTIFICATES_DIR}/ca.crt`),
  /** Makes the node a control plane, with an API server of its own; the cluster's networks say of which IP family. */
  controlPlane: s.object({
    localAPIEndpoint: s.filled(s.object({ advertiseAddress: text, bindPort })),
    certificateKey: text,
  }),
  skipPhases: strings,
  patches,
};
const schema = s.document({
  ...common,
  nodeRegistration: s.filled(nodeRegistration),
  discovery: s.object(discovery),
  dryRun: s.bool,
  timeouts,
});
const schemaV1beta3 = s.document({
  ...common,
  nodeRegistration: nodeRegistrationV1beta3,
  discovery: s.object({ ...discovery, timeout: s.duration }),
});

type WholeJoin = s.Infer<typeof schema>;
/**
 * What makes a host a further node of a cluster (kubeadm v1beta4 JoinConfiguration), as it is given: much of what it
 * leaves out is the cluster's to say.
 */
export type JoinConfiguration = s.Given<WholeJoin>;

/** What a JoinConfiguration's defaults are made from. */
interface JoinDefaults {
  host: Pick<HostDefaults, "hostname">;
}

/** What a worker does nothing with. */
const forControlPlanes = (path: string, why: string): NoEffect<WholeJoin> => ({
  path,
  why,
  when: ({ controlPlane }) => controlPlane === undefined,
});

/** kubeadm.k8s.io/v1beta4 JoinConfiguration. */
export const join: Kind<WholeJoin, JoinDefaults> = {
  apiVersion: V1BETA4,
  kind: "JoinConfiguration",
  slot: "join",
  schema,
  noEffect: [
    { path: "timeouts.upgradeManifests", why: "join upgrades nothing" },
    forControlPlanes("timeouts.controlPlaneComponentHealthCheck", "a worker has no control plane to wait for"),
    forControlPlanes("timeouts.kubeletHealthCheck", "a worker's kubelet is waited for by timeouts.tlsBootstrap"),
    forControlPlanes("timeouts.etcdAPICall", "a worker asks nothing of etcd"),
    forControlPlanes("nodeRegistration.imagePullPolicy", "a worker starts no static pods"),
    forControlPlanes("nodeRegistration.imagePullSerial", "a worker pulls no images"),
    forControlPlanes("nodeRegistration.taints[].timeAdded", "a worker's kubelet registers its taints without times"),
  ],
  normalize,
  validate,
  defaults,
};

/** kubeadm.k8s.io/v1beta3 JoinConfiguration. */
export const joinV1beta3: Kind<WholeJoin, JoinDefaults> = {
  ...join,
  apiVersion: V1BETA3,
  schema: schemaV1beta3,
  convert: ({ discovery, nodeRegistration, ...rest }: s.Infer<typeof schemaV1beta3>) => {
    const { timeout, ...found } = discovery ?? {};
    return {
      join: {
        ...rest,
        nodeRegistration: withArgList(nodeRegistration, "kubeletExtraArgs"),
        ...(discovery && { discovery: found }),
        ...(timeout === undefined ? {} : { timeouts: { discovery: timeout } }),
      },
    };
  },
};

/** A name's case means nothing (RFC 4343); kubeadm refuses other endpoints than lower case ones. */
function normalize(c: JoinConfiguration, warn: (message: string) => void): void {
  normalizeNode(c.nodeRegistration, warn);
  const found = c.discovery?.bootstrapToken;
  if (found?.apiServerEndpoint !== undefined) found.apiServerEndpoint = found.apiServerEndpoint.toLowerCase();
}

/** What kubeadm checks of a JoinConfiguration (kubeadm validation.go). */
function validate(c: JoinConfiguration, report: Report): void {
  checkNode(c.nodeRegistration, report);
  checkAbsolute(c.caCertPath, "caCertPath", report);
  if (c.caCertPath && !c.caCertPath.endsWith(".crt")) report("caCertPath", "must end with .crt");
  validateDiscovery(c.discovery, report);
  checkAdvertiseAddress(
    c.controlPlane?.localAPIEndpoint?.advertiseAddress,
    "controlPlane.localAPIEndpoint.advertiseAddress",
    report,
  );
  checkCertificateKey(c.controlPlane?.certificateKey, "controlPlane.certificateKey", report);
  checkTimeouts(c.timeouts, report);
  checkAbsolute(c.patches?.directory, "patches.directory", report);
}

function validateDiscovery(discovery: JoinConfiguration["discovery"], report: Report): void {
  const { bootstrapToken: token, file, tlsBootstrapToken } = discovery ?? {};
  if (!token && !file) report("discovery", "needs bootstrapToken or file");
  if (token && file) report("discovery", "has both bootstrapToken and file; keep one");
  if (file && !file.kubeConfigPath) report("discovery.file", 'needs the field "kubeConfigPath"');
  if (token) {
    const at = "discovery.bootstrapToken";
    if (token.token !== undefined) checkToken(token.token, `${at}.token`, report);
    else if (!tlsBootstrapToken) report(at, 'needs the field "token"');
    if (token.apiServerEndpoint === undefined) report(at, 'needs the field "apiServerEndpoint"');
    else checkEndpoint(token.apiServerEndpoint, `${at}.apiServerEndpoint`, report);
    for (const [i, pin] of (token.caCertHashes ?? []).entries()) {
      if (!/^sha256:[0-9a-f]{64}$/i.test(pin))
        report(`${at}.caCertHashes[${i}]`, "must be sha256: and 64 hexadecimal digits");
    }
    if (!token.unsafeSkipCAVerification && (token.caCertHashes ?? []).length === 0) {
      report(at, "needs caCertHashes, or unsafeSkipCAVerification: true");
    }
  }
  checkToken(tlsBootstrapToken || undefined, "discovery.tlsBootstrapToken", report);
}

/** What kubeadm fills in (kubeadm v1beta4 defaults.go), but for the address of an API server on this node. */
function defaults(given: JoinConfiguration, { host }: JoinDefaults): WholeJoin {
  const node = given.nodeRegistration;
  return withDefaults<WholeJoin>(
    { ...given, nodeRegistration: { ...node, name: node?.name || host.hostname() } },
    schema,
  );
}
