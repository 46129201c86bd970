#!/usr/bin/env bun
// Where the executable begins. What stays resident loads only what it needs: a node has several such processes, and a
// small board has little memory.
const [word, name = ""] = process.argv.slice(2);
if (word === "supervise" && !name.startsWith("-")) {
  const { superviseForever } = await import("../lib/services/supervisor.ts");
  const { paragraph } = await import("../lib/ui/text.ts");
  await superviseForever(name).catch((error: Error) => {
    process.stderr.write(`error: ${paragraph(error.message)}\n`);
    process.exitCode = 1;
  });
} else if (word === "node-agent" && process.argv.length === 3) {
  await (await import("./node-agent.ts")).runAgent();
} else {
  process.exitCode = await (await import("./main.ts")).main(process.argv.slice(2));
}

export {};
