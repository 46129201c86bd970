import { spyOn } from "bun:test";
import { join } from "node:path";
import { main } from "../../cmd/main.ts";

/** Runs a command line in this process; gives its exit code and what it printed. */
export async function kubestick(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  let [stdout, stderr] = ["", ""];
  const out = spyOn(process.stdout, "write").mockImplementation((chunk) => {
    stdout += String(chunk);
    return true;
  });
  const err = spyOn(process.stderr, "write").mockImplementation((chunk) => {
    stderr += String(chunk);
    return true;
  });
  try {
    return { code: await main(args), stdout, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

/** Runs a command line in a process of its own; gives its exit code, what it printed, and the most memory it had, in MB. */
export function measured(...args: string[]): {
  code: number | null;
  stderr: string;
  megabytes: number;
  seconds: number;
} {
  const started = performance.now();
  const child = Bun.spawnSync([process.execPath, join(import.meta.dir, "../../cmd/kubestick.ts"), ...args], {
    timeout: 60_000,
  });
  return {
    code: child.exitCode,
    stderr: child.stderr.toString(),
    megabytes: Math.round(child.resourceUsage!.maxRSS / 1024 / 1024),
    seconds: (performance.now() - started) / 1000,
  };
}

/** Whether a command said that it broke itself: a stack trace, or the words that are for that alone. */
export const brokeDown = (printed: string): boolean => /defect of kubestick|\n\s+at \S.*[:(]\d+/.test(printed);
