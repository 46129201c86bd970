import { execFile, spawnSync } from "node:child_process";
import { KubestickError } from "../errors.ts";

/** What a program printed and how it ended. */
export interface Output {
  status: number;
  stdout: string;
  stderr: string;
}

/** More than any program that kubestick asks has to say; the packet filter's rules of a large cluster are the longest. */
const MAX_OUTPUT_MIB = 32;

/**
 * Runs a program to its end, without a shell. One that is not there, or ran out of time, gives status 127 or 124; one
 * that printed more than 32 MiB is stopped, and gives status 1 and says so.
 */
export function tryRun(command: string, args: string[], timeoutMs = 30_000, input?: string): Output {
  const stdin = input === undefined ? "ignore" : "pipe";
  const result = spawnSync(command, args, {
    encoding: "utf8",
    timeout: timeoutMs,
    input,
    stdio: [stdin, "pipe", "pipe"],
    maxBuffer: MAX_OUTPUT_MIB << 20,
  });
  const code = (result.error as NodeJS.ErrnoException | undefined)?.code;
  const status = code === "ENOENT" ? 127 : code === "ETIMEDOUT" ? 124 : (result.status ?? 1);
  const cut = code === "ENOBUFS" ? `it printed more than ${MAX_OUTPUT_MIB} MiB` : undefined;
  return { status, stdout: result.stdout ?? "", stderr: cut ?? result.stderr ?? String(result.error ?? "") };
}

/** Runs a program to its end, without a shell, while other things go on; whatever goes wrong gives status 1. */
export function tryRunAside(command: string, args: string[], timeoutMs = 30_000): Promise<Output> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: timeoutMs, encoding: "utf8" }, (error, stdout, stderr) =>
      resolve({ status: error ? 1 : 0, stdout, stderr }),
    );
  });
}

/** Runs a program and gives what it printed. Throws KubestickError with its last words when it fails. */
export function run(command: string, args: string[], timeoutMs = 30_000): string {
  const out = tryRun(command, args, timeoutMs);
  if (out.status === 0) return out.stdout;
  const why =
    out.status === 127
      ? "the program is not installed"
      : out.stderr.trim().split("\n").slice(-3).join("; ") || `exit code ${out.status}`;
  throw new KubestickError(`${[command, ...args].join(" ")} failed: ${why}`);
}
