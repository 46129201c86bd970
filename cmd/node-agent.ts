import { Files } from "../lib/host/files.ts";
import { runNodeAgent } from "../lib/node/agent.ts";
import { oneLine } from "../lib/ui/text.ts";

/** Runs the node agent until SIGTERM or SIGINT; its log goes to standard output. */
export async function runAgent(): Promise<void> {
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  process.once("SIGINT", () => stop.abort());
  const log = (text: string) => process.stdout.write(`${new Date().toISOString()} ${oneLine(text)}\n`);
  await runNodeAgent(new Files("/"), log, stop.signal);
}
