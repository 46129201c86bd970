import { spyOn } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
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
export function measured(...args: string[]): { code: number; stderr: string; megabytes: number; seconds: number } {
  const started = performance.now();
  const dir = mkdtempSync(join(tmpdir(), "kubestick-peak-"));
  const peak = join(dir, "kilobytes");
  const program = join(import.meta.dir, "../../cmd/kubestick.ts");
  try {
    const child = spawnSync(
      process.execPath,
      ["--preload", join(import.meta.dir, "peak-memory.ts"), program, ...args],
      {
        encoding: "utf8",
        timeout: 60_000,
        env: { ...process.env, KUBESTICK_TEST_PEAK: peak },
      },
    );
    return {
      code: child.status ?? -1,
      stderr: child.stderr,
      megabytes: Number(readFileSync(peak, "utf8")) / 1024,
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Whether a command said that it broke itself: a stack trace, or the words that are for that alone. */
export const brokeDown = (printed: string): boolean => /bug in kubestick|\n\s+at \S.*[:(]\d+/.test(printed);
