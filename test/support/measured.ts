import { KUBESTICK } from "./cluster.ts";

/** What a command cost and said. */
export interface Measured {
  status: number;
  stdout: string;
  stderr: string;
  /** The most memory that it held at once, in MiB. */
  peakMiB: number;
  /** Processor time in seconds. */
  cpuSeconds: number;
}

// A process is counted with what its parent held when it was begun, so a small one begins it.
const TRAMPOLINE = `
const child = Bun.spawn(process.argv.slice(1), { stdout: "pipe", stderr: "pipe" });
const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
await child.exited;
const { maxRSS, cpuTime } = child.resourceUsage();
console.log(JSON.stringify({ status: child.exitCode, stdout, stderr, peakMiB: maxRSS / 2 ** 20, cpuSeconds: Number(cpuTime.total) / 1e6 }));
`;

/** Runs a command of kubestick in a process of its own, and measures it. */
export async function measured(...args: string[]): Promise<Measured> {
  const child = Bun.spawn([process.execPath, "-e", TRAMPOLINE, ...KUBESTICK, ...args], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  await child.exited;
  return JSON.parse(text);
}
