#!/usr/bin/env bun
// Where the executable begins. What stays resident loads only what it needs: a small board has little memory.
let lost = false;
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // Whoever read along has gone (kubestick ... | head): the work itself goes on.
    if (error.code === "EPIPE" || lost) return;
    lost = true;
    process.stderr.write(`error: cannot write all that was to be said: ${error.message}\n`);
  });
const word = process.argv.length === 3 ? process.argv[2] : undefined;
if (word === "supervise") {
  const { runResident } = await import("../lib/agent/resident.ts");
  const { paragraph } = await import("../lib/ui/text.ts");
  await runResident().then(
    () => process.exit(),
    (error: Error) => {
      process.stderr.write(`error: ${paragraph(error.message)}\n`);
      process.exitCode = 1;
    },
  );
} else if (word === "node-agent") {
  await (await import("./node-agent.ts")).runAgent();
} else {
  const code = await (await import("./main.ts")).main(process.argv.slice(2));
  // A report that a full disk has cut short is none; the streams tell of it a moment later.
  process.exitCode = code;
  process.once("beforeExit", () => {
    if (lost) process.exitCode = code || 1;
  });
}

export {};
