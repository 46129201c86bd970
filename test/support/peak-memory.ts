import { readFileSync, writeFileSync } from "node:fs";

// Loaded before a program, it leaves the most memory that the process has had (proc_pid_status(5), VmHWM) in a file. What
// wait4(2) tells of a child counts the memory of the process that it was forked from.
process.on("exit", () => {
  const peak = /^VmHWM:\s*(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  writeFileSync(process.env["KUBESTICK_TEST_PEAK"]!, peak);
});
