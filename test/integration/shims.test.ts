import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSystemFile } from "../../lib/host/system-files.ts";
import { lostShims } from "../../lib/runtime/shims.ts";
import { until } from "../support/node.ts";

const SOCKET = "/run/kubestick-test/containerd.sock";

/** A process that looks like a shim with a child, in a directory of its own. */
async function shim(dir: string, ...words: string[]) {
  fs.mkdirSync(dir);
  const child = spawn("bash", ["-c", "sleep 60 & wait", "shim", ...words], {
    argv0: "/usr/bin/containerd-shim-runc-v2",
    cwd: dir,
    stdio: "ignore",
  });
  const children = () => readSystemFile(`/proc/${child.pid}/task/${child.pid}/children`).trim();
  await until(() => children() !== "", 10_000, "the shim's child");
  return { child, pids: [child.pid!, Number(children())] };
}

test("a shim whose bundle is gone is lost, with what it started; others' and those at work are not", async () => {
  const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-shims-"));
  const flags = ["-namespace", "k8s.io", "-id", "x", "-address", SOCKET];
  const shims = {
    lost: await shim(join(dir, "lost"), ...flags),
    working: await shim(join(dir, "working"), ...flags),
    docker: await shim(join(dir, "docker"), ...flags.with(1, "moby")),
    other: await shim(join(dir, "other"), ...flags.with(5, "/run/other.sock")),
  };
  try {
    expect(lostShims(`unix://${SOCKET}`)).toEqual([]);
    for (const name of ["lost", "docker", "other"]) fs.rmdirSync(join(dir, name));
    expect(lostShims(`unix://${SOCKET}`)).toEqual(shims.lost.pids);
    expect(lostShims(SOCKET)).toEqual(shims.lost.pids);
  } finally {
    for (const { pids } of Object.values(shims)) for (const pid of pids) process.kill(pid, "SIGKILL");
    fs.rmSync(dir, { recursive: true });
  }
});
