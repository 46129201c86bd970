import { spawn } from "node:child_process";
import { missingForCluster } from "./support/binaries.ts";

const LAYERS = [
  { name: "unit", path: "test/unit", timeoutMs: 60_000 },
  { name: "integration", path: "test/integration", timeoutMs: 120_000 },
  { name: "end to end", path: "test/e2e", timeoutMs: 400_000, skip: missingForCluster },
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
  const { output, code } = await bunTest(layer.path, layer.timeoutMs);
  const count = (word: string) => Number(new RegExp(`^ *(\\d+) ${word}$`, "m").exec(output)?.[1] ?? 0);
  const fail = count("fail");
  total.pass += count("pass");
  total.skip += count("skip");
  // A runner that broke off without a count has failed too.
  total.fail += code !== 0 && fail === 0 ? 1 : fail;
}
console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
process.exitCode = total.fail > 0 || total.pass === 0 ? 1 : 0;

function bunTest(path: string, timeoutMs: number): Promise<{ output: string; code: number }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["test", `./${path}`, "--timeout", String(timeoutMs)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (chunk: Buffer) => {
      output += chunk.toString();
      process.stdout.write(chunk);
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("close", (code) => resolve({ output, code: code ?? 1 }));
  });
}
