import { textsOf } from "../../api/fields.ts";
import type { KubeObject } from "../../api/resources.ts";
import { MINUTE } from "../../constants/durations.ts";
import { ANNOTATION_ETCD_CLIENT_URLS, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { MANIFESTS_DIR } from "../../constants/paths.ts";
import { ETCD_CLIENT_PORT, ETCD_PEER_PORT } from "../../constants/ports.ts";
import { KubestickError, moveAway, reason } from "../../errors.ts";
import { EtcdClient, EtcdError, type EtcdMember } from "../../etcd/client.ts";
import { removeTree } from "../../host/remove.ts";
import { commandFlag } from "../../manifests/pod.ts";
import { joinHostPort } from "../../net/ip.ts";
import { describeContainer } from "../../runtime/diagnose.ts";
import { parseDuration } from "../../util/duration.ts";
import { until, untilItWorks } from "../../util/until.ts";
import type { InitContext } from "../init/context.ts";
import { writeManifest } from "../init/files.ts";

const ETCD_MANIFEST = `${MANIFESTS_DIR}/etcd.yaml`;
const POLL_MS = 500;
/** As long as kubeadm. */
const ENDPOINTS_TIMEOUT_MS = 2 * MINUTE;
/** A learner on a slow card takes its time to catch up. */
const PROMOTE_TIMEOUT_MS = 4 * MINUTE;
/** How long etcd may be busy with itself: a card that was slow for a minute is perhaps well again in the next. */
const PASSING_MS = 2 * MINUTE;

/** timeouts.etcdAPICall, or a default. */
function timeout(ctx: InitContext, fallback: number): number {
  const given = ctx.config.timeouts?.etcdAPICall;
  return given ? parseDuration(given) : fallback;
}

/** The client URLs of the cluster's etcd members, as kubeadm notes them on their pods; this node's own left out. */
export async function etcdEndpoints(ctx: InitContext): Promise<string[]> {
  const { items } = await ctx.client.list<KubeObject>("v1", "Pod", {
    namespace: NAMESPACE_SYSTEM,
    query: { labelSelector: "component=etcd,tier=control-plane" },
  });
  const own = clientUrl(ctx);
  const urls = items
    .map((pod) => textsOf(pod.metadata["annotations"])[ANNOTATION_ETCD_CLIENT_URLS] ?? "")
    .filter(Boolean);
  return urls.flatMap((text) => text.split(",")).filter((url) => url !== own);
}

/** As etcdEndpoints, but waits for the first: the pod of a control plane made just now is perhaps not in the API yet. */
async function knownEndpoints(ctx: InitContext): Promise<string[]> {
  const known = async () => {
    const endpoints = await etcdEndpoints(ctx);
    return endpoints.length > 0 && endpoints;
  };
  return until(known, {
    limitMs: timeout(ctx, ENDPOINTS_TIMEOUT_MS),
    pauseMs: POLL_MS,
    waiting: () => ctx.ui.live("etcd", ["etcd: waits until the API shows the pod of the first member"]),
    what: "the cluster has no etcd pod with the address of its member",
    hint: `on the first control plane: kubectl get pods -n ${NAMESPACE_SYSTEM} -l component=etcd -o yaml`,
  });
}

/** The members of etcd behind these URLs, asked with the certificate that etcd's own health checks use. */
export function etcdMembers(ctx: InitContext, endpoints: string[]): EtcdClient {
  const read = (name: string) => {
    const path = ctx.pki.path(name);
    const text = ctx.files.readText(path);
    if (text === undefined) throw new KubestickError(`${path} is not there`, { hint: "it is needed to ask etcd" });
    return text;
  };
  return new EtcdClient(endpoints, {
    ca: read("etcd/ca.crt"),
    certificate: read("etcd/healthcheck-client.crt"),
    key: read("etcd/healthcheck-client.key"),
  });
}

/** This node's own peer URL. */
export const peerUrl = (ctx: InitContext): string =>
  `https://${joinHostPort(ctx.config.localAPIEndpoint.advertiseAddress, ETCD_PEER_PORT)}`;

const clientUrl = (ctx: InitContext): string =>
  `https://${joinHostPort(ctx.config.localAPIEndpoint.advertiseAddress, ETCD_CLIENT_PORT)}`;

/**
 * Makes this node a member of etcd (kubeadm phases/etcd/local.go): a learner first, which has no vote and so cannot cost
 * the cluster its quorum; promoted once it has caught up. What an earlier run began is gone on with. When this run's own
 * learner does not get that far, it is taken out again.
 */
export async function joinEtcd(ctx: InitContext): Promise<void> {
  const { ui, ledger, files } = ctx;
  if (ctx.options.dryRun) {
    ui.step("etcd", `Would join etcd as a learner (${peerUrl(ctx)}), and be promoted when it has caught up`);
    return;
  }
  const etcd = etcdMembers(ctx, await knownEndpoints(ctx));
  const dataDir = ctx.config.cluster.etcd.local!.dataDir;
  try {
    const own = peerUrl(ctx);
    let members = await whileItPasses(ctx, () => etcd.list());
    let added = false;
    if (!isMember(members, own)) {
      refuseForeignData(ctx, dataDir);
      await whileItPasses(ctx, () => addOnce(etcd, own));
      added = true;
      ui.step("etcd", `Added this node to etcd as a learner (${own})`);
      members = await whileItPasses(ctx, () => etcd.list());
    }
    const me = members.find((m) => m.peerUrls.includes(own));
    if (!me) throw new KubestickError(`etcd does not list this node (${own}), which was added to it`);
    try {
      ledger.claimDirectory(dataDir);
      files.mkdir(dataDir, 0o700);
      // Once a member has started, etcd does not look at it any more; another text would only restart it.
      const first = me.name === "" ? undefined : commandFlag(files.readText(ETCD_MANIFEST) ?? "", "initial-cluster");
      writeManifest(ctx, "etcd", "etcd", first?.split(",") ?? initialCluster(members, me, ctx.nodeName));
      if (me.learner) await promote(ctx, etcd, me.id);
    } catch (error) {
      if (added) await rollBack(ctx, etcd, me.id, dataDir);
      throw error;
    }
    ui.step("etcd", `This node is a member of etcd, one of ${members.length}`);
  } finally {
    await etcd.close();
  }
}

/** `--initial-cluster`: the members that have started, and this one, in the order of their names. */
function initialCluster(members: EtcdMember[], me: EtcdMember, name: string): string[] {
  return members
    .filter((m) => m.name !== "" && m.peerUrls.length > 0 && m.id !== me.id)
    .map((m) => `${m.name}=${m.peerUrls[0]}`)
    .concat(`${name}=${me.peerUrls[0]}`)
    .sort();
}

/** A member's data of another cluster, or of an earlier membership, would keep this one from starting. */
function refuseForeignData(ctx: InitContext, dataDir: string): void {
  if (ctx.files.list(dataDir).filter((name) => name !== "lost+found").length === 0) return;
  throw new KubestickError(`${dataDir} is not empty, and this node is no member of etcd`, { hint: moveAway(dataDir) });
}

/** Promotes as soon as etcd finds the learner in sync. */
async function promote(ctx: InitContext, etcd: EtcdClient, id: string): Promise<void> {
  const final = (error: unknown) =>
    error instanceof EtcdError && /can only promote a learner member$|not found/.test(error.message);
  try {
    await untilItWorks(() => etcd.promote(id), {
      limitMs: timeout(ctx, PROMOTE_TIMEOUT_MS),
      pauseMs: POLL_MS,
      passes: (error) => !final(error),
      waiting: () => ctx.ui.live("etcd", ["etcd: the learner catches up with the other members"]),
    });
    ctx.ui.step("etcd", "The learner has caught up and was promoted");
  } catch (error) {
    // Somebody else, or a call of ours whose answer was lost, has promoted it already.
    if (final(error) && !(await whileItPasses(ctx, () => etcd.list())).find((m) => m.id === id)?.learner) return;
    const words = await describeContainer(ctx.cri, "etcd");
    throw new KubestickError(`this node's etcd did not catch up with the others: ${reason(error)}\n${words}`, {
      hint: `look at its log below /var/log/pods, and at the kubelet's: ${ctx.services.logCommand("kubelet")}`,
    });
  }
}

const isMember = (members: EtcdMember[], url: string) => members.some((m) => m.peerUrls.includes(url));

/** Adds a learner, unless an earlier try did whose answer was lost, as on a card that takes its time to write. */
async function addOnce(etcd: EtcdClient, url: string): Promise<void> {
  try {
    await etcd.addLearner(url);
  } catch (error) {
    if (error instanceof EtcdError && /already exist/i.test(error.message) && isMember(await etcd.list(), url)) return;
    throw error;
  }
}

/** While etcd elects a leader, or its card is slow, it refuses or does not answer; the cluster is well again in a moment. */
async function whileItPasses<T>(ctx: InitContext, attempt: () => Promise<T>): Promise<T> {
  return untilItWorks(attempt, {
    limitMs: timeout(ctx, PASSING_MS),
    pauseMs: 1_000,
    // "unhealthy cluster": a member that joined just before is still starting; "too many learner": one at a time.
    passes: (error) =>
      /leader|unhealthy cluster|too many learner|timed out|too many requests|no member of etcd answers/i.test(
        reason(error),
      ),
    waiting: (error) => ctx.ui.live("etcd", [`etcd: waits (${reason(error)})`]),
  });
}

/** Leaves the others as they were: no learner that never comes, no pod that looks for them. */
async function rollBack(ctx: InitContext, etcd: EtcdClient, id: string, dataDir: string): Promise<void> {
  ctx.files.remove(ETCD_MANIFEST);
  try {
    await whileItPasses(ctx, () => etcd.remove(id));
    ctx.ui.step("etcd", "Took this node out of etcd again");
    for (const { path, why } of removeTree(ctx.files.real(`${dataDir}/member`)))
      ctx.ui.warn(`${path}: ${why}; it stays`);
  } catch (error) {
    ctx.ui.warn(`this node could not be taken out of etcd again (${reason(error)}); the same command goes on with it`);
  }
}
