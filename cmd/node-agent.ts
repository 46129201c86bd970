import { NodeAgent } from "../lib/agent/agent.ts";
import { Files } from "../lib/host/files.ts";
import { oneLine } from "../lib/ui/text.ts";

const END_MS = 2_000;

/** Runs the node agent alone until SIGTERM or SIGINT; its log goes to standard output. SIGHUP has it look at everything again. */
export async function runAgent(): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => {
      stop.abort();
      // It may be asking an API server that does not answer; whatever it writes is whole at any moment.
      setTimeout(() => process.exit(), END_MS).unref();
    });
  const log = (text: string) => process.stdout.write(`${new Date().toISOString()} ${oneLine(text)}\n`);
  const agent = new NodeAgent(new Files("/"), log);
  process.on("SIGHUP", () => agent.reconcile());
  await agent.start(stop.signal);
}
