import { X509Certificate } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { caPin } from "../../lib/pki/certificate.ts";
import { initWith, joinWith } from "../support/cluster.ts";
import { EXECUTABLE } from "../support/executable.ts";
import { TestNode, until } from "../support/node.ts";

const SETTLE_MS = 30_000;
const WATCH_MS = 120_000;
/** Clock ticks a second, as /proc/PID/stat counts (USER_HZ, the same on every Linux). */
const TICKS = 100;

/**
 * All of kubestick on a worker without a service manager: how many processes, their memory, what they share with others
 * counted in proportion (proc_pid_smaps(5), Pss) and in whole (Rss), and their idle CPU time.
 */
export async function benchAgent(work: string): Promise<void> {
  const [first, worker] = [new TestNode("ba-cp", work), new TestNode("ba-worker", work)];
  try {
    for (const node of [first, worker]) await node.up({ cni: false });
    first.exec([EXECUTABLE, ...initWith(first, "", "--skip-phases=preflight").slice(2)], 300_000, true);
    const pin = caPin(new X509Certificate(first.file("/etc/kubernetes/pki/ca.crt")));
    const join = joinWith(worker, { endpoint: `${first.ip}:6443`, pin }, "--skip-phases=preflight").slice(2);
    worker.exec([EXECUTABLE, ...join], 300_000, true);
    const ready = () => first.kubectl("get", "nodes").match(/ Ready /g)?.length === 2;
    await until(ready, 120_000, "both nodes are Ready");
    await sleep(SETTLE_MS);
    const found = worker.exec(["pgrep", "-f", "kubestick (supervise|node-agent)"], 10_000, true).stdout;
    const pids = found.trim().split("\n");
    const proc = (name: string) => pids.map((pid) => worker.exec(["cat", `/proc/${pid}/${name}`], 10_000, true).stdout);
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
    const ticks = () =>
      sum(
        proc("stat").map((text) => {
          // The program's name, in parentheses, may hold blanks.
          const fields = text.replace(/^.*\) /, "").split(" ");
          return Number(fields[11]) + Number(fields[12]);
        }),
      );
    const before = ticks();
    await sleep(WATCH_MS);
    const cpu = ((ticks() - before) / TICKS / (WATCH_MS / 1000)) * 100;
    const mib = (texts: string[], field: string) =>
      (sum(texts.map((text) => Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(text)?.[1]))) / 1024).toFixed(1);
    const [memory, status] = [proc("smaps_rollup"), proc("status")];
    console.log(
      `kubestick on a worker, ${pids.length} process(es): ${mib(memory, "Rss")} MiB resident of which ${mib(status, "RssAnon")} MiB are its own, ` +
        `${mib(memory, "Pss")} MiB in proportion (peak ${mib(status, "VmHWM")} MiB), ${cpu.toFixed(2)}% of a processor over ${WATCH_MS / 1000} s of idling`,
    );
  } finally {
    for (const node of [worker, first]) await node.down();
  }
}
