import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { tryRun } from "../../lib/host/process.ts";

// The resident process itself, in namespaces that end with the test, with programs that only wait in its care.
const missing = process.getuid?.() !== 0 || !findProgram("unshare");
const root = new URL("../../", import.meta.url).pathname;

const STAGE = `
import { spawn } from "node:child_process";
import * as fs from "node:fs";
if (process.argv[2] === "supervise") await import("${root}cmd/kubestick.ts");
else {
  const { Files } = await import("${root}lib/host/files.ts");
  const { serviceManager } = await import("${root}lib/services/manager.ts");
  const services = serviceManager("none", new Files("/"));
  const pid = (name) => Number(fs.existsSync("/run/kubestick/" + name + ".pid") && fs.readFileSync("/run/kubestick/" + name + ".pid", "utf8"));
  const all = (word) => fs.readdirSync("/proc").filter((name) => /^\\d+$/.test(name)).flatMap((id) => {
    try { return fs.readFileSync("/proc/" + id + "/cmdline", "utf8").split("\\0").includes(word) ? Number(id) : []; } catch { return []; }
  });
  const log = (name) => fs.readFileSync("/var/log/kubestick/" + name + ".log", "utf8");
  const until = async (what, holds) => {
    for (let i = 0; i < 300; i++) { if (holds()) return; await Bun.sleep(100); }
    throw new Error("in vain: " + what + "\\n" + JSON.stringify(fs.readdirSync("/run/kubestick").map((f) => [f, pid(f.replace(".pid", ""))])));
  };
  const spec = (name, program, args, more = {}) => ({ name, description: "", program, args, ...more });
  const agent = spec("kubestick-agent", "/none", ["node-agent"], { part: true });
  const up = async () => {
    services.install(spec("containerd", "/bin/sleep", ["1001"]));
    await services.restart("containerd");
    services.install(spec("kubelet", "/bin/sleep", ["1002"], { after: ["containerd", "kubestick-agent"] }));
    await services.restart("kubelet");
    services.install(agent);
    await services.restart("kubestick-agent");
  };
  const down = async () => {
    for (const name of ["kubestick-agent", "kubelet", "containerd"]) await services.remove(name);
  };
  const active = () => ["containerd", "kubelet", "kubestick-agent"].filter((name) => services.isActive(name));
  const finish = (result) => { console.log(JSON.stringify(result)); process.exit(); };
  //PLAY
}
`;

describe.skipIf(missing)("the resident process", () => {
  let dir = "";
  beforeAll(() => {
    dir = fs.mkdtempSync(join(tmpdir(), "kubestick-resident-"));
  });
  afterAll(() => fs.rmSync(dir, { recursive: true }));

  /** What a play gives that is acted on the stage. */
  function play(script: string): unknown {
    const stage = join(dir, "stage.ts");
    fs.writeFileSync(
      stage,
      STAGE.replace("//PLAY", () => script),
    );
    const mounts = "for d in /run /var/lib /var/log; do mount -t tmpfs tmpfs $d; done";
    const spaces = ["-m", "-n", "-p", "--fork", "--mount-proc", "--kill-child", "--propagation", "private"];
    // Orphans of the namespace are reaped by its first process, as a host's are.
    const command = `${mounts}; "$0" "$1"; exit $?`;
    const out = tryRun("unshare", [...spaces, "sh", "-c", command, process.execPath, stage], 110_000);
    expect({ status: out.status, stderr: out.stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(out.stdout);
  }

  test("is one for all services, and leaves nothing behind", () => {
    const seen = play(`
await up();
const residents = all("supervise");
const ids = { same: pid("resident") === residents[0], agent: pid("kubestick-agent") === residents[0], containerd: all("1001"), kubelet: all("1002") };
const files = [pid("containerd"), pid("kubelet")];
const running = active();
const changed = services.install(agent);
await down();
finish({ residents: residents.length, ids: { ...ids, containerd: ids.containerd.length, kubelet: ids.kubelet.length },
  files: files.join() === [...ids.containerd, ...ids.kubelet].join(), running, changed, after: active(),
  left: [all("supervise"), all("1001"), all("1002")], run: fs.readdirSync("/run/kubestick"), logs: fs.readdirSync("/var/log/kubestick") });`);
    expect(seen).toEqual({
      residents: 1,
      ids: { same: true, agent: true, containerd: 1, kubelet: 1 },
      files: true,
      running: ["containerd", "kubelet", "kubestick-agent"],
      changed: false,
      after: [],
      left: [[], [], []],
      run: [],
      logs: [],
    });
  });

  test("starts a program again that was killed, and anew with its new definition when it is told to", () => {
    const seen = play(`
await up();
const [resident, first, other] = [pid("resident"), pid("kubelet"), pid("containerd")];
process.kill(first, "SIGKILL");
await until("another kubelet", () => pid("kubelet") > 1 && pid("kubelet") !== first);
services.install(spec("kubelet", "/bin/sleep", ["1003"]));
await services.restart("kubelet");
const anew = [all("1002"), all("1003").length];
await services.stop("kubelet");
const stopped = [all("1003"), active()];
await services.restart("kubelet");
finish({ anew, stopped, again: all("1003").length, same: resident === pid("resident") && other === pid("containerd"), log: log("kubelet").replace(/^\\S+ /, "") });`);
    expect(seen).toEqual({
      anew: [[], 1],
      stopped: [[], ["containerd", "kubestick-agent"]],
      again: 1,
      same: true,
      log: "kubestick: /bin/sleep ended (SIGKILL); starting it again in 1 s\n",
    });
  });

  test("that was killed is replaced, and its successor goes on with the programs that it left", () => {
    const seen = play(`
await up();
const [resident, kubelet, containerd] = ["resident", "kubelet", "containerd"].map(pid);
process.kill(resident, "SIGKILL");
await until("its end", () => all("supervise").length === 0);
const [left, idle] = [[...all("1001"), ...all("1002")], active()];
await services.restart("kubestick-agent");
const taken = [pid("kubelet") === kubelet, pid("containerd") === containerd, active()];
process.kill(kubelet, "SIGKILL");
await until("another kubelet", () => pid("kubelet") > 1 && pid("kubelet") !== kubelet);
await services.restart("containerd");
const fresh = [all("1001").length, all("1001")[0] !== containerd, all("1002").length, all("supervise").length];
process.kill(pid("resident"), "SIGKILL");
await until("its end", () => all("supervise").length === 0);
await down();
finish({ left: left.join() === [containerd, kubelet].join(), idle, taken, fresh, gone: [all("1001"), all("1002"), all("supervise")] });`);
    expect(seen).toEqual({
      left: true,
      idle: ["containerd", "kubelet"],
      taken: [true, true, ["containerd", "kubelet", "kubestick-agent"]],
      fresh: [1, true, 1, 1],
      gone: [[], [], []],
    });
  });

  test("ends with all its services on SIGTERM, a program that does not listen too", () => {
    const seen = play(`
await up();
services.install(spec("stubborn", "/bin/sh", ["-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]));
await services.restart("stubborn");
await until("it does not listen", () => log("stubborn").includes("ready"));
const resident = pid("resident");
process.kill(resident, "SIGTERM");
await until("the end of all", () => [all("supervise"), all("1001"), all("1002"), all("-c").filter((id) => id > 1)].flat().length === 0);
finish(fs.readdirSync("/run/kubestick"));`);
    expect(seen).toEqual([]);
  });

  test("keeps what it can read going where another definition is damaged, and says so", () => {
    const seen = play(`
await up();
fs.writeFileSync("/var/lib/kubestick/services/broken.json", "{}");
process.kill(pid("resident"), "SIGHUP");
await until("a word", () => fs.existsSync("/var/log/kubestick/broken.log"));
const first = pid("kubelet");
await services.restart("kubelet");
finish({ log: log("broken").split("\\n")[0].replace(/^\\S+ /, ""), anew: pid("kubelet") !== first, running: active() });`);
    expect(seen).toEqual({
      log: "kubestick: the service broken is not known on this host, or /var/lib/kubestick/services/broken.json is damaged",
      anew: true,
      running: ["containerd", "kubelet", "kubestick-agent"],
    });
  });

  test("does not take another program for its own by a stale process id", () => {
    const seen = play(`
await up();
process.kill(pid("resident"), "SIGKILL");
await until("its end", () => all("supervise").length === 0);
const other = spawn("/usr/bin/tail", ["-f", "/dev/null"], { stdio: "ignore" });
for (const name of ["kubelet", "resident"]) fs.writeFileSync("/run/kubestick/" + name + ".pid", other.pid + "\\n");
process.kill(all("1002")[0], "SIGKILL");
await services.restart("kubelet");
finish({ alive: other.exitCode === null && other.signalCode === null, kubelet: all("1002").length, active: active() });`);
    expect(seen).toEqual({ alive: true, kubelet: 1, active: ["containerd", "kubelet", "kubestick-agent"] });
  });
});
