import { spawn } from "node:child_process";
import type { Output } from "../../lib/host/process.ts";
import { KUBESTICK } from "./cluster.ts";

/** Runs kubestick while other things go on; kills it after a time where one is given. */
export function startKubestick(words: string[], killAfterMs?: number): Promise<Output> {
  return new Promise((resolve) => {
    const child = spawn(KUBESTICK[0]!, [...KUBESTICK.slice(1), ...words], { stdio: ["ignore", "pipe", "pipe"] });
    const said = { stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => {
      said.stdout += chunk;
    });
    child.stderr.on("data", (chunk: Buffer) => {
      said.stderr += chunk;
    });
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), killAfterMs);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ status: code ?? 137, ...said });
    });
  });
}
