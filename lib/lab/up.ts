import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { INOTIFY_INSTANCES, LAB_INOTIFY_PER_NODE } from "../constants/lab.ts";
import { ADMIN_KUBECONFIG, CGROUP_ROOT_PREFIX, OWN_EXECUTABLE } from "../constants/paths.ts";
import { API_SERVER_PORT } from "../constants/ports.ts";
import { KubestickError } from "../errors.ts";
import { cgroupVersion, makeCgroupRoot } from "../host/cgroups.ts";
import { ownDirectory } from "../host/directories.ts";
import { findProgram } from "../host/facts.ts";
import { Files } from "../host/files.ts";
import { getSysctl } from "../host/kernel.ts";
import { run } from "../host/process.ts";
import { withServer } from "../kubeconfig/kubeconfig.ts";
import { definedServices } from "../services/definition.ts";
import { SUPERVISE } from "../services/resident.ts";
import { RESIDENT_ENV } from "../services/service.ts";
import type { Ui } from "../ui/ui.ts";
import { inParallel } from "../util/pool.ts";
import { until } from "../util/until.ts";
import { type LabMember, type LabPlan, labBridge, labEndpoint, labMembers, savePlan } from "./plan.ts";
import { labKubeconfig, labStatus } from "./status.ts";

/** How a lab's nodes run kubestick. */
export interface LabRun {
  /** Where labs are kept. */
  dir: string;
  /** The words of a command line in a node, and files of this machine that it needs there. */
  kubestick: string[];
  binds: Record<string, string>;
  /** Flags of init and join alike, and of init alone. */
  nodeFlags: string[];
  initFlags: string[];
}

const NEEDED = ["ip", "nsenter", "unshare", "setpriv", "mount"];
const WORKERS_AT_ONCE = 4;
const BOOT_MS = 10_000;
const READY_MS = 300_000;
const POLL_MS = 500;
const LAST_LINES = 15;

/** Why no lab can be made on this machine; undefined when one can. */
export function missingForLab(): string | undefined {
  if (process.getuid?.() !== 0) return "only root can make network namespaces";
  const missing = NEEDED.filter((name) => !findProgram(name));
  return missing.length > 0 ? `this machine lacks ${missing.join(", ")}` : undefined;
}

/** What this kernel gives too little of for so many nodes, with the command that mends it; undefined where it is enough. */
function tooLittle(nodes: number): string | undefined {
  const [allowed, needed] = [Number(getSysctl(INOTIFY_INSTANCES)), nodes * LAB_INOTIFY_PER_NODE];
  if (allowed >= needed) return undefined;
  return `kubelets may fail to start: ${nodes} nodes need about ${needed} inotify instances, and this machine gives ${allowed}; sysctl -w ${INOTIFY_INSTANCES}=${needed * 2}`;
}

/** Makes a lab, or goes on with one that is half there or has fewer nodes. Throws KubestickError. */
export async function labUp(plan: LabPlan, how: LabRun, ui: Ui): Promise<void> {
  const members = labMembers(how.dir, plan, how.binds);
  const lacking = tooLittle(plan.nodes);
  if (lacking !== undefined) ui.warn(lacking);
  ownDirectory(join(how.dir, plan.name), 0o700);
  savePlan(how.dir, plan);
  makeBridge(plan);
  for (const member of members) {
    const { node, name, ip } = member;
    if (node.pid !== undefined) continue;
    await node.up();
    const services = boot(member, how);
    ui.step(
      "lab",
      services.length > 0 ? `Started ${name} again: ${services.join(", ")}` : `Made the node ${name}, ${ip}`,
    );
  }
  const [first, ...others] = members as [LabMember, ...LabMember[]];
  const key = randomBytes(32).toString("hex");
  const several = plan.controlPlanes > 1;
  const endpoint = ["--control-plane-endpoint", `${labEndpoint(plan)}:${API_SERVER_PORT}`];
  const init = ["init", ...how.nodeFlags, ...how.initFlags, ...endpoint, "--apiserver-advertise-address", first.ip];
  await inNode(first, how, [...init, ...(several ? ["--upload-certs", "--certificate-key", key] : [])], ui);
  const config = withServer(
    new Files().readText(first.node.path(ADMIN_KUBECONFIG)) ?? "",
    `https://${first.ip}:${API_SERVER_PORT}`,
    first.node.path(ADMIN_KUBECONFIG),
  );
  new Files().write(labKubeconfig(how.dir, plan), config, { mode: 0o600, secret: true });
  if (others.length > 0) await joinAll(first, others, how, key, ui);
  await waitReady(how.dir, plan, ui);
}

/**
 * Starts the services of a node that was set up before it stopped, as the service manager of a board does when it boots:
 * etcd answers only when most of the control planes run. Gives their names.
 */
function boot({ node, name }: LabMember, how: LabRun): string[] {
  const services = definedServices(new Files(node.path("/")));
  if (services.length === 0) return [];
  makeCgroupRoot(`${CGROUP_ROOT_PREFIX}${name}`, cgroupVersion());
  const program = fs.existsSync(node.path(OWN_EXECUTABLE)) ? [OWN_EXECUTABLE] : how.kubestick;
  const command = ["sh", "-c", 'setsid "$@" </dev/null >/dev/null 2>&1 &', "sh", ...program, SUPERVISE];
  node.exec(command, RESIDENT_ENV, BOOT_MS);
  return services;
}

async function joinAll(first: LabMember, others: LabMember[], how: LabRun, key: string, ui: Ui): Promise<void> {
  const create = ["token", "create", "--ttl", "1h", "--description", "lab", "--print-join-command"];
  const slip = first.node.exec([...how.kubestick, ...create], {}, 60_000);
  const words = slip.stdout.trim().split(" ").slice(1);
  if (slip.status !== 0 || words[0] !== "join")
    throw new KubestickError(`${first.name} gives no token to join with: ${slip.stderr.trim()}`);
  const join = (member: LabMember) => {
    const own = ["--control-plane", "--certificate-key", key, "--apiserver-advertise-address", member.ip];
    return inNode(member, how, [...words, ...how.nodeFlags, ...(member.controlPlane ? own : [])], ui);
  };
  // etcd takes one new member at a time.
  for (const member of others.filter((m) => m.controlPlane)) await join(member);
  await inParallel(
    others.filter((m) => !m.controlPlane),
    WORKERS_AT_ONCE,
    join,
  );
  const token = words[words.indexOf("--token") + 1]!;
  first.node.exec([...how.kubestick, "token", "delete", token.split(".")[0]!], {}, 60_000);
}

/** Runs kubestick in a node; its words go to a log, and to the console with -v. Throws KubestickError with the last ones when it fails. */
async function inNode(member: LabMember, how: LabRun, words: string[], ui: Ui): Promise<void> {
  const began = performance.now();
  const what = words[0] === "init" ? "Initializing" : "Joining";
  ui.step("lab", `${what} ${member.name} (${member.controlPlane ? "control plane" : "worker"})`);
  const log = join(member.node.spec.dir, `${words[0]}.log`);
  const out = fs.createWriteStream(log, { mode: 0o600 });
  const last: string[] = [];
  const child = member.node.start([...how.kubestick, ...words], { TERM: "dumb" }, "pipe");
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on("data", (chunk: Buffer) => {
      out.write(chunk);
      const lines = chunk.toString().split("\n").filter(Boolean);
      for (const line of lines) ui.detail(`${member.name}: ${line}`);
      last.push(...lines);
      last.splice(0, last.length - LAST_LINES);
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => resolve(status ?? 1));
  });
  await new Promise((done) => out.end(done));
  if (code !== 0)
    throw new KubestickError(
      `kubestick ${words[0]} in ${member.name} failed (exit code ${code}):\n${last.join("\n")}`,
      {
        hint: `${log} has all of it; kubestick lab shell ${member.name} looks around there; the same command goes on`,
      },
    );
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  ui.step("lab", `${member.name} is ${words[0] === "init" ? "set up" : "joined"}, after ${seconds} s`);
}

function makeBridge(plan: LabPlan): void {
  const { name, address } = labBridge(plan);
  if (!fs.existsSync(`/sys/class/net/${name}`)) {
    const routes = JSON.parse(run("ip", ["-j", "route", "show", "root", plan.subnet])) as {
      dst: string;
      dev: string;
    }[];
    const taken = routes.find((route) => route.dst !== "default");
    if (taken)
      throw new KubestickError(
        `this machine uses ${taken.dst} already, on ${taken.dev}, and the lab wants ${plan.subnet}`,
        {
          hint: "choose another range with --subnet",
        },
      );
    run("ip", ["link", "add", name, "type", "bridge"]);
    run("ip", ["addr", "add", address, "dev", name]);
  }
  run("ip", ["link", "set", name, "up"]);
}

async function waitReady(dir: string, plan: LabPlan, ui: Ui): Promise<void> {
  ui.step("lab", "Waiting until every node is Ready");
  let waiting: string[] = [];
  const ready = async () => {
    const { nodes, problem } = await labStatus(dir, plan);
    waiting = nodes.filter((node) => !node.ready).map((node) => node.name);
    if (waiting.length > 0) ui.live("lab", [`not Ready yet: ${waiting.join(", ")}${problem ? ` (${problem})` : ""}`]);
    return waiting.length === 0;
  };
  const late = () =>
    new KubestickError(`${waiting.join(", ")} did not become Ready in ${READY_MS / 60_000} minutes`, {
      code: "timeout",
      hint: `KUBECONFIG=${labKubeconfig(dir, plan)} kubectl describe node ${waiting[0]}`,
    });
  await until(ready, { limitMs: READY_MS, pauseMs: POLL_MS, late });
}
