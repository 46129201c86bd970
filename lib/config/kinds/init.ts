import { TOKEN_TTL } from "../../constants/durations.ts";
import { GROUP_BOOTSTRAPPERS } from "../../constants/names.ts";
import { TOKEN_GROUP_PATTERN, TOKEN_USAGES } from "../../constants/tokens.ts";
import { canonicalIp, familiesOf } from "../../net/ip.ts";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { checkAdvertiseAddress } from "../checks/addresses.ts";
import { checkAbsolute, checkCertificateKey, checkTimeouts, checkToken } from "../checks/values.ts";
import { withDefaults } from "../fill.ts";
import type { HostDefaults, Kind, Report } from "../kind.ts";
import { checkNode, normalizeNode } from "../node.ts";
import * as s from "../schema.ts";
import {
  localAPIEndpoint,
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

const bootstrapToken = s.object({
  token: s.filled(s.string),
  description: s.string,
  ttl: s.duration,
  expires: s.time,
  usages: s.filled(s.list<string>(s.oneOf(...TOKEN_USAGES))),
  groups: s.filled(strings),
});
/** A token that nodes join with; one with neither `ttl` nor `expires` never expires. */
export type BootstrapToken = s.Infer<typeof bootstrapToken>;

/** What both versions have. */
const common = {
  bootstrapTokens: s.filled(s.list(bootstrapToken), []),
  localAPIEndpoint: s.filled(localAPIEndpoint),
  certificateKey: text,
  skipPhases: strings,
  patches,
};
const schema = s.document({ ...common, nodeRegistration: s.filled(nodeRegistration), dryRun: s.bool, timeouts });
const schemaV1beta3 = s.document({ ...common, nodeRegistration: nodeRegistrationV1beta3 });

/** What makes a host the first node of a cluster (kubeadm v1beta4 InitConfiguration). */
export type InitConfiguration = s.Infer<typeof schema>;
type Init = s.Given<InitConfiguration>;

/** What an InitConfiguration's defaults are made from. */
interface InitDefaults {
  host: HostDefaults;
  /** The cluster's, whose first network the API server must have an address of. */
  serviceSubnet: string;
}

/** kubeadm.k8s.io/v1beta4 InitConfiguration. */
export const init: Kind<InitConfiguration, InitDefaults> = {
  apiVersion: V1BETA4,
  kind: "InitConfiguration",
  slot: "init",
  schema,
  noEffect: [
    { path: "timeouts.discovery", why: "init looks for no cluster" },
    { path: "timeouts.tlsBootstrap", why: "init signs its kubelet's certificate itself" },
    { path: "timeouts.etcdAPICall", why: "init asks nothing of etcd" },
    { path: "timeouts.upgradeManifests", why: "init upgrades nothing" },
  ],
  normalize: (c, warn) => normalizeNode(c.nodeRegistration, warn),
  validate,
  defaults,
};

/** kubeadm.k8s.io/v1beta3 InitConfiguration. */
export const initV1beta3: Kind<InitConfiguration, InitDefaults> = {
  ...init,
  apiVersion: V1BETA3,
  schema: schemaV1beta3,
  noEffect: [],
  convert: (old: s.Infer<typeof schemaV1beta3>) => ({
    init: { ...old, nodeRegistration: withArgList(old.nodeRegistration, "kubeletExtraArgs") },
  }),
};

/** What kubeadm checks of an InitConfiguration (kubeadm validation.go). */
function validate(c: Init, report: Report): void {
  const ids = new Set<string>();
  for (const [i, token] of (c.bootstrapTokens ?? []).entries()) {
    const at = `bootstrapTokens[${i}]`;
    checkToken(token.token, `${at}.token`, report);
    const id = token.token?.split(".")[0];
    if (id && ids.has(id)) report(`${at}.token`, `uses the token id ${id} a second time; ids are unique`);
    if (id) ids.add(id);
    if (token.ttl !== undefined && token.expires !== undefined) report(at, "has both ttl and expires; keep one");
    if (token.ttl !== undefined && parseDuration(token.ttl) < 0)
      report(`${at}.ttl`, "must not be negative; 0s means never");
    for (const [j, group] of (token.groups ?? []).entries()) {
      if (!TOKEN_GROUP_PATTERN.test(group))
        report(
          `${at}.groups[${j}]`,
          `${JSON.stringify(group)} must begin with system:bootstrappers: and end with a letter or digit`,
        );
    }
  }
  checkNode(c.nodeRegistration, report);
  checkAdvertiseAddress(c.localAPIEndpoint?.advertiseAddress, "localAPIEndpoint.advertiseAddress", report);
  checkCertificateKey(c.certificateKey, "certificateKey", report);
  checkTimeouts(c.timeouts, report);
  checkAbsolute(c.patches?.directory, "patches.directory", report);
}

/** What kubeadm fills in (kubeadm v1beta4 defaults.go), some of it by asking the host. */
function defaults(given: Init, { host, serviceSubnet }: InitDefaults): InitConfiguration {
  const tokens = given.bootstrapTokens?.length ? given.bootstrapTokens : [{}];
  const address = given.localAPIEndpoint?.advertiseAddress;
  return withDefaults<InitConfiguration>(
    {
      ...given,
      bootstrapTokens: tokens.map((token) => defaultToken({ ...token, token: token.token ?? host.newToken() })),
      localAPIEndpoint: {
        ...given.localAPIEndpoint,
        advertiseAddress: isUnspecified(address) ? host.advertiseAddress(serviceFamily(serviceSubnet)) : address,
      },
      nodeRegistration: { ...given.nodeRegistration, name: given.nodeRegistration?.name || host.hostname() },
    },
    schema,
  );
}

/** A bootstrap token with kubeadm's default lifetime, usages and group. */
export function defaultToken(given: s.Given<BootstrapToken> & { token: string }): BootstrapToken {
  return {
    ...given,
    ...(given.expires === undefined ? { ttl: given.ttl ?? formatDuration(TOKEN_TTL) } : {}),
    usages: given.usages?.length ? given.usages : [...TOKEN_USAGES],
    groups: given.groups?.length ? given.groups : [GROUP_BOOTSTRAPPERS],
  };
}

/** Whether an address stands for any of a host's own. */
export const isUnspecified = (address: string | undefined): boolean =>
  address === undefined || address === "" || address === "0.0.0.0" || canonicalIp(address) === "::";

/** The IP family of a cluster's first service network, which is the one that its API servers must have an address of. */
export const serviceFamily = (serviceSubnet: string): 4 | 6 | undefined => familiesOf(serviceSubnet)[0];
