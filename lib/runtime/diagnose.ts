import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { POD_LOGS_DIR } from "../constants/paths.ts";
import { reason } from "../errors.ts";
import type { Cri } from "./cri.ts";

const LAST_LINES = 10;
const TAIL_BYTES = 32 * 1024;

/** The end of the log of a static pod's container that has ended since a moment (milliseconds since the epoch); undefined where none has. Never throws. */
export async function lastWords(cri: Cri, name: string, since: number): Promise<string | undefined> {
  try {
    const newest = (await cri.containers()).find((c) => c.name === name && c.namespace === "kube-system");
    if (newest?.state !== "exited") return undefined;
    const { finishedAt, logPath } = await cri.containerStatus(newest.id);
    return finishedAt < BigInt(since) * 1_000_000n ? undefined : tail(logPath, Number.POSITIVE_INFINITY).join("\n");
  } catch {
    return undefined;
  }
}

/** A static pod's container in words: its state, exit code, and the last lines of its log. Never throws. */
export async function describeContainer(cri: Cri, name: string): Promise<string> {
  try {
    const all = (await cri.containers()).filter((c) => c.name === name && c.namespace === "kube-system");
    // What just started again has nothing to say; the one that ended before it has.
    const container = all.find((c) => c.state === "exited") ?? all[0];
    if (!container) return `${name}: the kubelet has made no container; is its image there? see: crictl images`;
    const status = await cri.containerStatus(container.id);
    const how =
      status.state === "exited"
        ? `exited with code ${status.exitCode}${status.reason ? ` (${status.reason})` : ""}`
        : status.state;
    const log = tail(status.logPath, LAST_LINES);
    return [
      `${name}: container ${container.id.slice(0, 13)} ${how}; ${status.message || `its log is ${status.logPath}`}`,
      ...log.map((line) => `    ${line}`),
    ].join("\n");
  } catch (error) {
    return `${name}: ${reason(error)}`;
  }
}

/** The last lines of a CRI log file, without the time, stream and tag before each; only below /var/log/pods. */
function tail(path: string, count: number): string[] {
  if (!path.startsWith(`${POD_LOGS_DIR}/`)) return [];
  let fd: number | undefined;
  try {
    fd = openSync(path, "r");
    const size = fstatSync(fd).size;
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    const lines = buffer.toString("utf8").trimEnd().split("\n").slice(-count);
    return lines.map((line) => line.replace(/^\S+ (stdout|stderr) \S+ /, ""));
  } catch {
    return [];
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
