import { Agent, request } from "undici/index.js";
import { CONTROL_PLANE_TIMEOUT, KUBELET_HEALTH_TIMEOUT } from "../../constants/durations.ts";
import { MANIFESTS_DIR } from "../../constants/paths.ts";
import { KUBE_CONTROLLER_MANAGER_PORT, KUBE_SCHEDULER_PORT } from "../../constants/ports.ts";
import type { Node } from "../../edge/node.ts";
import { KubestickError, reason } from "../../errors.ts";
import { dataDamage, dataDamageHint } from "../../etcd/damage.ts";
import { probeOf } from "../../manifests/probe.ts";
import { joinHostPort } from "../../net/ip.ts";
import { describeContainer, lastWords } from "../../runtime/diagnose.ts";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { until } from "../../util/until.ts";
import { within } from "../../util/within.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { Phase, Step } from "../runner.ts";
import { endStalePods } from "./stale-pods.ts";

/** One thing that must become healthy: where it is asked, and the container it runs in. */
interface Target {
  name: string;
  url: string;
  container?: string;
}

const POLL_MS = 100;
/** How long one health answer may take, whatever listens on that port. */
const ANSWER_MS = 4_000;
/** How often the container runtime is asked what became of the containers that are not healthy yet. */
const LOOK_MS = 1_000;

/** init's phase `wait-control-plane`: until kubelet, API server, controller manager and scheduler answer (kubeadm waiter.go). */
export const waitControlPlanePhase: Phase<{ cp: ControlPlane }> = {
  name: "wait-control-plane",
  short: "Wait for the control plane to start",
  live: true,
  inputs: [MANIFESTS_DIR, "service kubelet"],
  run: ({ cp }, step) => waitForControlPlane(cp, step),
};

/** Waits for the kubelet and the control plane's components. Throws KubestickError with the last words of those that do not come. */
export const waitForControlPlane = (cp: ControlPlane, step: Step): Promise<void> =>
  cp.node.waiting.on("wait for the kubelet and the control plane to become healthy", step, () => waitForAll(cp, step));

async function waitForAll(cp: ControlPlane, step: Step): Promise<void> {
  const limits = cp.config.timeouts;
  const kubelet = (await cp.kubelet()).local;
  const health = joinHostPort(String(kubelet["healthzBindAddress"]), Number(kubelet["healthzPort"]));
  const kubeletLimit = limits?.kubeletHealthCheck ? parseDuration(limits.kubeletHealthCheck) : KUBELET_HEALTH_TIMEOUT;
  await waitFor(cp, [{ name: "kubelet", url: `http://${health}/healthz` }], kubeletLimit, step);
  const limit = limits?.controlPlaneComponentHealthCheck
    ? parseDuration(limits.controlPlaneComponentHealthCheck)
    : CONTROL_PLANE_TIMEOUT;
  await waitFor(cp, controlPlaneTargets(cp), limit, step);
}

function controlPlaneTargets({ node, servers }: ControlPlane): Target[] {
  const local = (component: string, port: number, path: string): Target => ({
    name: component,
    url: probeOf(node.files, component) ?? `https://127.0.0.1:${port}${path}`,
    container: component,
  });
  return [
    { name: "kube-apiserver", url: `${servers.local}/livez`, container: "kube-apiserver" },
    local("kube-controller-manager", KUBE_CONTROLLER_MANAGER_PORT, "/healthz"),
    local("kube-scheduler", KUBE_SCHEDULER_PORT, "/livez"),
  ];
}

async function waitFor(cp: ControlPlane, targets: Target[], limitMs: number, step: Step): Promise<void> {
  const started = Date.now();
  const states = new Map(targets.map((t) => [t.name, "not started"]));
  const healthy = new Set<string>();
  // A health question carries no secret, and the components' own serving certificates are self-signed.
  const agent = new Agent({ connect: { rejectUnauthorized: false, timeout: 2_000 } });
  let lastLook = 0;
  let ended = false;
  try {
    const everyOne = async () => {
      await Promise.all(
        targets.map(async (target) => {
          if (healthy.has(target.name)) return;
          const answer = await ask(target.url, agent);
          if (answer !== "ok") {
            if (!answer.startsWith("connect")) states.set(target.name, answer);
            return;
          }
          healthy.add(target.name);
          states.set(target.name, "healthy");
          step(`${target.name} is healthy after ${formatDuration(Math.round((Date.now() - started) / 10) * 10)}`);
        }),
      );
      if (healthy.size === targets.length) return true;
      if (Date.now() - lastLook > LOOK_MS) {
        lastLook = Date.now();
        await look(cp.node, targets, healthy, states);
        const waitsForEtcd = targets.some((t) => t.name === "kube-apiserver" && !healthy.has(t.name));
        if (waitsForEtcd) await expectWholeData(cp, started);
        // Once: where the clock was put back meanwhile, new pods look old.
        if (!ended && waitsForEtcd) ended = await endStalePods(cp, step);
        step.live(...targets.filter((t) => !healthy.has(t.name)).map((t) => `${t.name}: ${states.get(t.name)}`));
      }
      return false;
    };
    const late = () =>
      explain(
        cp,
        targets.filter((t) => !healthy.has(t.name)),
        limitMs,
      );
    await until(everyOne, { limitMs, pauseMs: POLL_MS, late });
  } finally {
    await agent.destroy();
  }
}

async function ask(url: string, dispatcher: Agent): Promise<string> {
  try {
    const statusCode = await within(ANSWER_MS, async (signal) => {
      const response = await request(url, { dispatcher, signal });
      await response.body.dump();
      return response.statusCode;
    });
    // An API server that turns anonymous questions down is alive all the same.
    return statusCode === 200 || statusCode === 401 || statusCode === 403 ? "ok" : `answers ${statusCode}`;
  } catch (error) {
    return `connect: ${reason(error)}`;
  }
}

async function look(
  { services, cri }: Node,
  targets: Target[],
  healthy: Set<string>,
  states: Map<string, string>,
): Promise<void> {
  if (targets.every((t) => t.container === undefined)) {
    states.set("kubelet", services.isActive("kubelet") ? "started" : "not running");
    return;
  }
  const containers = await cri.containers().catch(() => []);
  for (const target of targets) {
    if (healthy.has(target.name) || target.container === undefined) continue;
    const newest = containers.find((c) => c.name === target.container && c.namespace === "kube-system");
    states.set(
      target.name,
      newest
        ? `container ${newest.state}${newest.attempt > 0 ? `, restarted ${newest.attempt} times` : ""}`
        : "no container yet",
    );
  }
}

/** Ends the wait where etcd's own words say that its data are damaged: it would end the same way for ever. Throws KubestickError. */
async function expectWholeData({ node, config }: ControlPlane, since: number): Promise<void> {
  const local = config.cluster.etcd.local;
  const damage = local && dataDamage((await lastWords(node.cri, "etcd", since)) ?? "");
  if (!damage) return;
  throw new KubestickError(
    `etcd cannot use its data in ${local.dataDir}: ${damage}\n${await describeContainer(node.cri, "etcd")}`,
    { hint: dataDamageHint(local.dataDir) },
  );
}

/** The time-out as an error: each component's container, its exit code and its last words, and what to check. */
async function explain({ node, config }: ControlPlane, missing: Target[], limitMs: number): Promise<KubestickError> {
  const lines = [`not healthy after ${formatDuration(limitMs)}: ${missing.map((t) => t.name).join(", ")}`];
  // An API server without its etcd has nothing to say that helps.
  if (missing.some((t) => t.name === "kube-apiserver") && config.cluster.etcd.local)
    lines.push(await describeContainer(node.cri, "etcd"));
  for (const target of missing) {
    lines.push(
      target.container
        ? await describeContainer(node.cri, target.container)
        : `kubelet: ${node.services.isActive("kubelet") ? "runs, but does not answer" : "does not run"} at ${target.url}`,
    );
  }
  const check = missing.some((t) => t.container) ? "crictl ps -a, then " : "";
  return new KubestickError(lines.join("\n"), {
    hint: `look at the kubelet's log too: ${check}${node.services.logCommand("kubelet")}; when it is fixed, run the same command again`,
  });
}
