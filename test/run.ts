import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { inParallel } from "../lib/util/pool.ts";
import { describeComponents, E2E_BIN, missingForCluster, unpackedImages } from "./support/binaries.ts";
import { builtExecutable } from "./support/local-bundle.ts";
import { WORK } from "./support/node.ts";

interface Layer {
  name: string;
  path: string;
  timeoutMs: number;
  skip?: () => string | undefined;
  prepare?: () => void;
  /** How many files run side by side; without it all run in one process. */
  atOnce?: number;
  /** The files that take longest, so that none of them runs alone at the end. */
  slowest?: string[];
}

const LAYERS: Layer[] = [
  { name: "unit", path: "test/unit", timeoutMs: 60_000 },
  {
    name: "integration",
    path: "test/integration",
    timeoutMs: 120_000,
    atOnce: availableParallelism(),
    slowest: ["node-agent", "executables", "hostile-bundles", "resident", "fuzz", "two-at-once", "pki", "bundle"],
  },
  {
    name: "end to end",
    path: "test/e2e",
    timeoutMs: 400_000,
    skip: missingForCluster,
    prepare: () => {
      // Another containerd can be put there to be tried.
      process.env["PATH"] = `${E2E_BIN}:${process.env["PATH"]}`;
      console.log(`with ${describeComponents()}`);
      // Files that run side by side must not each make them.
      unpackedImages(WORK);
      builtExecutable();
      process.env["KUBESTICK_E2E_BUILT"] = "1";
    },
    // Each file runs whole clusters: more than one a processor, and every deadline is too short.
    atOnce: availableParallelism(),
    slowest: ["lab", "interop", "offline", "control-planes", "init", "service-managers"],
  },
];

const total = { pass: 0, fail: 0, skip: 0 };
const wanted = process.argv.slice(2);
for (const layer of LAYERS) {
  if (wanted.length > 0 && !wanted.some((word) => layer.path.endsWith(word))) continue;
  const reason = layer.skip?.();
  if (reason !== undefined) {
    console.log(`${layer.name}: skipped, because ${reason}`);
    total.skip++;
    continue;
  }
  console.log(`${layer.name}:`);
  layer.prepare?.();
  const runs = layer.atOnce
    ? readdirSync(layer.path)
        .filter((name) => name.endsWith(".test.ts"))
        .sort((a, b) => turn(layer, a) - turn(layer, b))
        .map((name) => `${layer.path}/${name}`)
    : [layer.path];
  await inParallel(runs, layer.atOnce ?? 1, async (path) => {
    const began = performance.now();
    const { output, code } = await bunTest(path, layer.timeoutMs, runs.length === 1);
    if (runs.length > 1) console.log(`${path}, ${Math.round((performance.now() - began) / 1000)} s:\n${output}`);
    const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
    const fail = count("fail");
    total.pass += count("pass");
    total.skip += count("skip");
    // A runner that broke off without a count has failed too.
    total.fail += code !== 0 && fail === 0 ? 1 : fail;
  });
}
console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
process.exitCode = total.fail > 0 || total.pass === 0 ? 1 : 0;

/** When a file's turn comes: the slowest first, all others after them. */
function turn({ slowest = [] }: Layer, name: string): number {
  const at = slowest.indexOf(name.replace(".test.ts", ""));
  return at === -1 ? slowest.length : at;
}

function bunTest(path: string, timeoutMs: number, show: boolean): Promise<{ output: string; code: number }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["test", `./${path}`, "--timeout", String(timeoutMs)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      if (show) process.stdout.write(chunk);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("close", (code) => resolve({ output, code: code ?? 1 }));
  });
}
