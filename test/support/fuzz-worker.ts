// Runs command lines in this process, one after the other: lines of JSON come in (on file descriptor 4), and one goes out
// for each (on 3). It is started where nothing of this machine can be changed; see sandbox.ts.
import * as fs from "node:fs";
import { dirname } from "node:path";
import { createInterface } from "node:readline";
import { main } from "../../cmd/main.ts";
import { asLine } from "./lines.ts";

/** A command line to run, after these files were made and with these variables; null unsets one. */
export interface Run {
  argv: string[];
  env?: Record<string, string | null>;
  /** Path → its bytes in base64, or a directory or a link in its place; what was there goes first. */
  files?: Record<string, { base64: string } | { directory: true } | { link: string }>;
}

/** How it ended. */
export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
  milliseconds: number;
}

class Exit extends Error {
  constructor(readonly code: number) {
    super(`exit ${code}`);
  }
}

/** Makes a directory, whatever an earlier run has put in the place of one of those above it. */
function makeWay(directory: string): void {
  if (directory === "/") return;
  makeWay(dirname(directory));
  if (fs.lstatSync(directory, { throwIfNoEntry: false })?.isDirectory()) return;
  fs.rmSync(directory, { force: true });
  fs.mkdirSync(directory);
}

function make(files: Run["files"]): void {
  for (const [path, what] of Object.entries(files ?? {})) {
    makeWay(dirname(path));
    fs.rmSync(path, { recursive: true, force: true });
    if ("base64" in what) fs.writeFileSync(path, Buffer.from(what.base64, "base64"));
    else if ("link" in what) fs.symlinkSync(what.link, path);
    else fs.mkdirSync(path);
  }
}

async function run({ argv, env = {}, files }: Run): Promise<Ran> {
  make(files);
  const before = { ...process.env };
  for (const [name, value] of Object.entries(env))
    if (value === null) delete process.env[name];
    else process.env[name] = value;
  const said = { stdout: "", stderr: "" };
  const writes = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const name of ["stdout", "stderr"] as const)
    process[name].write = (chunk: unknown) => {
      said[name] += String(chunk);
      return true;
    };
  const began = performance.now();
  let code: number;
  try {
    code = await main(argv);
  } catch (error) {
    code = error instanceof Exit ? error.code : -1;
    if (!(error instanceof Exit)) said.stderr += `thrown: ${(error as Error).stack}`;
  } finally {
    process.stdout.write = writes.stdout;
    process.stderr.write = writes.stderr;
    for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
    Object.assign(process.env, before);
  }
  return { code, ...said, milliseconds: Math.round(performance.now() - began) };
}

if (import.meta.main) {
  process.exit = ((code?: number) => {
    throw new Exit(code ?? 0);
  }) as typeof process.exit;
  // What comes to light after a command has ended belongs to it all the same.
  let stray = "";
  for (const event of ["uncaughtException", "unhandledRejection"] as const)
    process.on(event, (error: unknown) => {
      stray += `${event}: ${(error as Error)?.stack ?? String(error)}\n`;
    });
  for await (const line of createInterface({ input: fs.createReadStream("", { fd: 4 }) })) {
    const ran = await run(JSON.parse(line) as Run);
    await Bun.sleep(0);
    if (stray !== "") ran.stderr += stray;
    stray = "";
    const answer = Buffer.from(asLine(ran));
    for (let at = 0; at < answer.length; ) at += fs.writeSync(3, answer, at);
  }
}
