import { textsOf } from "../../api/fields.ts";
import type { KubeObject } from "../../api/resources.ts";
import { MINUTE } from "../../constants/durations.ts";
import { ANNOTATION_ETCD_CLIENT_URLS, NAMESPACE_SYSTEM } from "../../constants/names.ts";
import { CERTIFICATES_DIR, ETCD_DATA_DIR, MANIFESTS_DIR } from "../../constants/paths.ts";
import { ETCD_CLIENT_PORT, ETCD_PEER_PORT } from "../../constants/ports.ts";
import type { Etcd } from "../../edge/etcd.ts";
import { KubestickError, moveAway, reason } from "../../errors.ts";
import { EtcdError, type EtcdMember } from "../../etcd/client.ts";
import { removeTree } from "../../host/remove.ts";
import { commandFlag } from "../../manifests/pod.ts";
import { joinHostPort } from "../../net/ip.ts";
import { describeContainer } from "../../runtime/diagnose.ts";
import { parseDuration } from "../../util/duration.ts";
import { until, untilItWorks } from "../../util/until.ts";
import { LOCAL_ETCD } from "../conditions.ts";
import type { ControlPlane } from "../control-plane.ts";
import { writeManifest } from "../init/control-plane.ts";
import { claimEtcdData } from "../init/etcd.ts";
import type { Phase, Step } from "../runner.ts";
import type { Join, Joining } from "./context.ts";

const ETCD_MANIFEST = `${MANIFESTS_DIR}/etcd.yaml`;
const POLL_MS = 500;
const PASSING_POLL_MS = 1_000;
/** As long as kubeadm. */
const ENDPOINTS_TIMEOUT_MS = 2 * MINUTE;
/** A learner on a slow card takes its time to catch up. */
const PROMOTE_TIMEOUT_MS = 4 * MINUTE;
/** How long etcd may be busy with itself: a card that was slow for a minute is perhaps well again in the next. */
const PASSING_MS = 2 * MINUTE;

/**
 * join's phase `etcd-join` (kubeadm phases/etcd/local.go): makes this node a member of etcd, a learner first, which has
 * no vote and so cannot cost the cluster its quorum; promoted once it has caught up. What an earlier run began is gone
 * on with. When this run's own learner does not get that far, it is taken out again.
 */
export const etcdJoinPhase: Phase<Join> = {
  name: "etcd-join",
  short: "Join etcd for control plane nodes",
  tag: "etcd",
  live: true,
  inputs: [`Pod ${NAMESPACE_SYSTEM}/etcd-NAME`, `${CERTIFICATES_DIR}/etcd`],
  outputs: [ETCD_DATA_DIR, ETCD_MANIFEST, "member of etcd"],
  run: async ({ controlPlane }, step) => {
    const joining = await controlPlane();
    if (!LOCAL_ETCD.holds(joining)) return;
    const { cp } = joining;
    // All of it is up to the other members.
    const would = `join etcd as a learner (${urlOf(cp, ETCD_PEER_PORT)}), and be promoted when it has caught up`;
    await cp.node.waiting.on(would, step, () => joinEtcd(joining, step));
  },
  undo: async ({ controlPlane }, step) => leaveEtcd(await controlPlane(), step),
};

/** timeouts.etcdAPICall, or a default. */
function timeout({ config }: ControlPlane, fallback: number): number {
  const given = config.timeouts?.etcdAPICall;
  return given ? parseDuration(given) : fallback;
}

/** The client URLs of the cluster's etcd members, as kubeadm notes them on their pods; this node's own left out. */
export async function etcdEndpoints({ cp, admin }: Joining): Promise<string[]> {
  const { items } = await (await admin.client()).list<KubeObject>("v1", "Pod", {
    namespace: NAMESPACE_SYSTEM,
    query: { labelSelector: "component=etcd,tier=control-plane" },
  });
  const own = urlOf(cp, ETCD_CLIENT_PORT);
  const urls = items
    .map((pod) => textsOf(pod.metadata["annotations"])[ANNOTATION_ETCD_CLIENT_URLS] ?? "")
    .filter(Boolean);
  return urls.flatMap((text) => text.split(",")).filter((url) => url !== own);
}

/** As etcdEndpoints, but waits for the first: the pod of a control plane made just now is perhaps not in the API yet. */
async function knownEndpoints(joining: Joining, step: Step): Promise<string[]> {
  const known = async () => {
    const endpoints = await etcdEndpoints(joining);
    return endpoints.length > 0 && endpoints;
  };
  return until(known, {
    limitMs: timeout(joining.cp, ENDPOINTS_TIMEOUT_MS),
    pauseMs: POLL_MS,
    waiting: () => step.live("etcd: waits until the API shows the pod of the first member"),
    what: "the cluster has no etcd pod with the address of its member",
    hint: `on the first control plane: kubectl get pods -n ${NAMESPACE_SYSTEM} -l component=etcd -o yaml`,
  });
}

/** The members of etcd behind these URLs, asked with the certificate that etcd's own health checks use. */
function openEtcd({ node, pki }: ControlPlane, endpoints: string[]): Etcd {
  const read = (name: string) => {
    const path = pki.path(name);
    const text = node.files.readText(path);
    if (text === undefined) throw new KubestickError(`${path} is not there`, { hint: "it is needed to ask etcd" });
    return text;
  };
  return node.etcd(endpoints, {
    ca: read("etcd/ca.crt"),
    certificate: read("etcd/healthcheck-client.crt"),
    key: read("etcd/healthcheck-client.key"),
  });
}

/** This node's own URL of etcd for members (ETCD_PEER_PORT) or clients. */
const urlOf = ({ config }: ControlPlane, port: number): string =>
  `https://${joinHostPort(config.localAPIEndpoint.advertiseAddress, port)}`;

async function joinEtcd(joining: Joining, step: Step): Promise<void> {
  const { cp } = joining;
  const endpoints = await knownEndpoints(joining, step);
  const etcd = openEtcd(cp, endpoints);
  try {
    const own = urlOf(cp, ETCD_PEER_PORT);
    const list = () => whileItPasses(cp, step, () => etcd.list());
    let members = await list();
    const isNew = !isMember(members, own);
    if (isNew) {
      refuseForeignData(cp);
      await whileItPasses(cp, step, () => addOnce(etcd, own));
      step(`Added this node to etcd as a learner (${own})`);
      members = await list();
    }
    const me = members.find((m) => m.peerUrls.includes(own));
    if (!me) throw new KubestickError(`etcd does not list this node (${own}), which was added to it`);
    if (isNew) joining.learner = { id: me.id, endpoints };
    claimEtcdData(cp);
    // Once a member has started, etcd does not look at it any more; another text would only restart it.
    const first =
      me.name === "" ? undefined : commandFlag(cp.node.files.readText(ETCD_MANIFEST) ?? "", "initial-cluster");
    writeManifest(cp, "etcd", step, first?.split(",") ?? initialCluster(members, me, cp.node.name));
    if (me.learner) await promote(cp, etcd, me.id, step);
    delete joining.learner;
    step(`This node is a member of etcd, one of ${members.length}`);
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
function refuseForeignData({ node, config }: ControlPlane): void {
  const { dataDir } = config.cluster.etcd.local!;
  if (node.files.list(dataDir).filter((name) => name !== "lost+found").length === 0) return;
  throw new KubestickError(`${dataDir} is not empty, and this node is no member of etcd`, { hint: moveAway(dataDir) });
}

/** Promotes as soon as etcd finds the learner in sync. */
async function promote(cp: ControlPlane, etcd: Etcd, id: string, step: Step): Promise<void> {
  const { cri, services } = cp.node;
  const final = (error: unknown) =>
    error instanceof EtcdError && /can only promote a learner member$|not found/.test(error.message);
  try {
    await untilItWorks(() => etcd.promote(id), {
      limitMs: timeout(cp, PROMOTE_TIMEOUT_MS),
      pauseMs: POLL_MS,
      passes: (error) => !final(error),
      waiting: () => step.live("etcd: the learner catches up with the other members"),
    });
    step("The learner has caught up and was promoted");
  } catch (error) {
    // Somebody else, or a call of ours whose answer was lost, has promoted it already.
    if (final(error) && !(await whileItPasses(cp, step, () => etcd.list())).find((m) => m.id === id)?.learner) return;
    const words = await describeContainer(cri, "etcd");
    throw new KubestickError(`this node's etcd did not catch up with the others: ${reason(error)}\n${words}`, {
      hint: `look at its log below /var/log/pods, and at the kubelet's: ${services.logCommand("kubelet")}`,
    });
  }
}

const isMember = (members: EtcdMember[], url: string) => members.some((m) => m.peerUrls.includes(url));

/** Adds a learner, unless an earlier try did whose answer was lost, as on a card that takes its time to write. */
async function addOnce(etcd: Etcd, url: string): Promise<void> {
  try {
    await etcd.addLearner(url);
  } catch (error) {
    if (error instanceof EtcdError && /already exist/i.test(error.message) && isMember(await etcd.list(), url)) return;
    throw error;
  }
}

/** While etcd elects a leader, or its card is slow, it refuses or does not answer; the cluster is well again in a moment. */
async function whileItPasses<T>(cp: ControlPlane, step: Step, attempt: () => Promise<T>): Promise<T> {
  return untilItWorks(attempt, {
    limitMs: timeout(cp, PASSING_MS),
    pauseMs: PASSING_POLL_MS,
    // "unhealthy cluster": a member that joined just before is still starting; "too many learner": one at a time.
    passes: (error) =>
      /leader|unhealthy cluster|too many learner|timed out|too many requests|no member of etcd answers/i.test(
        reason(error),
      ),
    waiting: (error) => step.live(`etcd: waits (${reason(error)})`),
  });
}

/** Leaves the others as they were: no learner that never comes, no pod that looks for them. */
async function leaveEtcd({ cp, learner }: Joining, step: Step): Promise<void> {
  if (!learner) return;
  const { files, ui } = cp.node;
  files.remove(ETCD_MANIFEST);
  const etcd = openEtcd(cp, learner.endpoints);
  try {
    await whileItPasses(cp, step, () => etcd.dismiss(learner.id, " again", step));
    const { dataDir } = cp.config.cluster.etcd.local!;
    for (const { path, why } of removeTree(files.real(`${dataDir}/member`))) ui.warn(`${path}: ${why}; it stays`);
  } catch (error) {
    ui.warn(`this node could not be taken out of etcd again (${reason(error)}); the same command goes on with it`);
  } finally {
    await etcd.close();
  }
}
