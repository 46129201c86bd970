import { Agent, request } from "undici/index.js";
import { CONTROL_PLANE_TIMEOUT, KUBELET_HEALTH_TIMEOUT } from "../../constants/durations.ts";
import { KUBE_CONTROLLER_MANAGER_PORT, KUBE_SCHEDULER_PORT } from "../../constants/ports.ts";
import { KubestickError, reason } from "../../errors.ts";
import { dataDamage, dataDamageHint } from "../../etcd/damage.ts";
import { within } from "../../host/within.ts";
import { probeOf } from "../../manifests/probe.ts";
import { joinHostPort } from "../../net/ip.ts";
import { describeContainer, lastWords } from "../../runtime/diagnose.ts";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { until } from "../../util/until.ts";
import type { Phase } from "../runner.ts";
import type { InitContext } from "./context.ts";
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
export const waitControlPlanePhase: Phase<InitContext> = {
  name: "wait-control-plane",
  short: "Wait for the control plane to start",
  live: true,
  run: async (ctx) => {
    if (ctx.options.dryRun) {
      ctx.ui.step("wait-control-plane", "Would wait for the kubelet and the control plane to become healthy");
      return;
    }
    const limits = ctx.config.timeouts;
    const kubelet = (await ctx.kubelet()).local;
    const health = joinHostPort(String(kubelet["healthzBindAddress"]), Number(kubelet["healthzPort"]));
    const kubeletLimit = limits?.kubeletHealthCheck ? parseDuration(limits.kubeletHealthCheck) : KUBELET_HEALTH_TIMEOUT;
    await waitFor(ctx, [{ name: "kubelet", url: `http://${health}/healthz` }], kubeletLimit);
    const limit = limits?.controlPlaneComponentHealthCheck
      ? parseDuration(limits.controlPlaneComponentHealthCheck)
      : CONTROL_PLANE_TIMEOUT;
    await waitFor(ctx, controlPlaneTargets(ctx), limit);
  },
};

function controlPlaneTargets(ctx: InitContext): Target[] {
  const local = (component: string, port: number, path: string): Target => ({
    name: component,
    url: probeOf(ctx.files, component) ?? `https://127.0.0.1:${port}${path}`,
    container: component,
  });
  return [
    { name: "kube-apiserver", url: `${ctx.localServer}/livez`, container: "kube-apiserver" },
    local("kube-controller-manager", KUBE_CONTROLLER_MANAGER_PORT, "/healthz"),
    local("kube-scheduler", KUBE_SCHEDULER_PORT, "/livez"),
  ];
}

async function waitFor(ctx: InitContext, targets: Target[], limitMs: number): Promise<void> {
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
          ctx.ui.step(
            "wait-control-plane",
            `${target.name} is healthy after ${formatDuration(Math.round((Date.now() - started) / 10) * 10)}`,
          );
        }),
      );
      if (healthy.size === targets.length) return true;
      if (Date.now() - lastLook > LOOK_MS) {
        lastLook = Date.now();
        await look(ctx, targets, healthy, states);
        const waitsForEtcd = targets.some((t) => t.name === "kube-apiserver" && !healthy.has(t.name));
        if (waitsForEtcd) await expectWholeData(ctx, started);
        // Once: where the clock was put back meanwhile, new pods look old.
        if (!ended && waitsForEtcd) ended = await endStalePods(ctx);
        ctx.ui.live(
          "wait-control-plane",
          targets.filter((t) => !healthy.has(t.name)).map((t) => `${t.name}: ${states.get(t.name)}`),
        );
      }
      return false;
    };
    const late = () =>
      explain(
        ctx,
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
  ctx: InitContext,
  targets: Target[],
  healthy: Set<string>,
  states: Map<string, string>,
): Promise<void> {
  if (targets.every((t) => t.container === undefined)) {
    states.set("kubelet", ctx.services.isActive("kubelet") ? "started" : "not running");
    return;
  }
  const containers = await ctx.cri.containers().catch(() => []);
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
async function expectWholeData(ctx: InitContext, since: number): Promise<void> {
  const local = ctx.config.cluster.etcd.local;
  const damage = local && dataDamage((await lastWords(ctx.cri, "etcd", since)) ?? "");
  if (!damage) return;
  throw new KubestickError(
    `etcd cannot use its data in ${local.dataDir}: ${damage}\n${await describeContainer(ctx.cri, "etcd")}`,
    { hint: dataDamageHint(local.dataDir) },
  );
}

/** The time-out as an error: each component's container, its exit code and its last words, and what to check. */
async function explain(ctx: InitContext, missing: Target[], limitMs: number): Promise<KubestickError> {
  const lines = [`not healthy after ${formatDuration(limitMs)}: ${missing.map((t) => t.name).join(", ")}`];
  // An API server without its etcd has nothing to say that helps.
  if (missing.some((t) => t.name === "kube-apiserver") && ctx.config.cluster.etcd.local)
    lines.push(await describeContainer(ctx.cri, "etcd"));
  for (const target of missing) {
    lines.push(
      target.container
        ? await describeContainer(ctx.cri, target.container)
        : `kubelet: ${ctx.services.isActive("kubelet") ? "runs, but does not answer" : "does not run"} at ${target.url}`,
    );
  }
  const check = missing.some((t) => t.container) ? "crictl ps -a, then " : "";
  return new KubestickError(lines.join("\n"), {
    hint: `look at the kubelet's log too: ${check}${ctx.services.logCommand("kubelet")}; when it is mended, run the same command again`,
  });
}
