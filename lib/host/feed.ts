import { type ChildProcess, spawn } from "node:child_process";

/** So much of what a program says last is kept. */
const KEPT_BYTES = 4096;

/** How a program ended. */
export interface Ending {
  /** 127 where it could not be started. */
  status: number;
  /** The last of what it wrote to its standard error. */
  stderr: string;
}

/**
 * Runs a program that reads chunks from its standard input, without a shell; what it prints goes nowhere. It takes one chunk
 * in while the next is made, so a chunk must stay valid until the next but one is asked for. `progress` hears of the bytes
 * given to it. A program that ends early is given no more. Throws what the chunks throw, after the program has ended by
 * itself, as it must when its input breaks off.
 */
export async function feed(
  command: string,
  args: string[],
  chunks: Iterable<Buffer>,
  options: { timeoutMs: number; progress?: (bytes: number) => void },
): Promise<Ending> {
  const child = spawn(command, args, { stdio: ["pipe", "ignore", "pipe"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
  const ending = ended(child).finally(() => clearTimeout(timer));
  // A broken pipe is the program's end, and its own words say why.
  child.stdin.on("error", () => undefined);
  let done = 0;
  try {
    let last = Promise.resolve(true);
    for (const chunk of chunks) {
      if (!(await last)) break;
      last = written(child, chunk);
      done += chunk.length;
      options.progress?.(done);
    }
    await last;
  } catch (error) {
    child.stdin.end();
    await ending;
    throw error;
  }
  child.stdin.end();
  return ending;
}

function written(child: ChildProcess, chunk: Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    const gone = () => resolve(false);
    child.once("close", gone);
    child.stdin!.write(chunk, (error) => {
      child.off("close", gone);
      resolve(!error);
    });
  });
}

function ended(child: ChildProcess): Promise<Ending> {
  let stderr = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-KEPT_BYTES);
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ status: 127, stderr: error.message }));
    child.once("close", (code) => resolve({ status: code ?? 1, stderr }));
  });
}
