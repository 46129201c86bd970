import { setTimeout as sleep } from "node:timers/promises";
import { initWith } from "../support/cluster.ts";
import { EXECUTABLE } from "../support/executable.ts";
import { TestNode, until } from "../support/node.ts";

const SETTLE_MS = 30_000;
const WATCH_MS = 120_000;
/** Clock ticks a second, as /proc/PID/stat counts (USER_HZ, the same on every Linux). */
const TICKS = 100;

/**
 * All of kubestick on a node without a service manager, which is one process: its memory, what it shares with others
 * counted in proportion (proc_pid_smaps(5), Pss) and in whole (Rss), and its idle CPU time.
 */
export async function benchAgent(work: string): Promise<void> {
  const node = new TestNode("ba-cp", work);
  try {
    await node.up({ cni: false });
    node.exec([EXECUTABLE, ...initWith(node, "", "--skip-phases=preflight").slice(2)], 300_000, true);
    await until(() => node.kubectl("get", "nodes").includes(" Ready "), 120_000, "the node is Ready");
    await sleep(SETTLE_MS);
    const all = node.exec(["pgrep", "-f", "kubestick (supervise|node-agent)"], 10_000, true).stdout.trim().split("\n");
    if (all.length > 1) throw new Error(`${all.length} processes of kubestick: ${all.join(", ")}`);
    const seen = all[0]!;
    const proc = (name: string) => node.exec(["cat", `/proc/${seen}/${name}`], 10_000, true).stdout;
    const ticks = () => {
      // The program's name, in parentheses, may hold blanks.
      const fields = proc("stat")
        .replace(/^.*\) /, "")
        .split(" ");
      return Number(fields[11]) + Number(fields[12]);
    };
    const before = ticks();
    await sleep(WATCH_MS);
    const cpu = ((ticks() - before) / TICKS / (WATCH_MS / 1000)) * 100;
    const mib = (text: string, field: string) =>
      (Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(text)?.[1]) / 1024).toFixed(0);
    const [memory, status] = [proc("smaps_rollup"), proc("status")];
    console.log(
      `the resident process: ${mib(memory, "Pss")} MiB in proportion, ${mib(memory, "Rss")} MiB resident of which ${mib(status, "RssAnon")} MiB are its own ` +
        `(peak ${mib(status, "VmHWM")} MiB), ${cpu.toFixed(2)}% of a processor over ${WATCH_MS / 1000} s of idling`,
    );
  } finally {
    await node.down();
  }
}
