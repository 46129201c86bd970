import * as fs from "node:fs";
import { processIds, readSystemFile } from "../host/system-files.ts";

/** The programs that listen on a TCP port of this host, by name; `?` where the program cannot be seen. */
export function listeners(port: number): string[] {
  const inodes = new Set<string>();
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const inode of listeningInodes(readSystemFile(table), port)) inodes.add(inode);
  }
  if (inodes.size === 0) return [];
  const names = new Set<string>();
  for (const pid of processIds()) {
    for (const fd of list(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(readLink(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode && inodes.has(inode)) names.add(readSystemFile(`/proc/${pid}/comm`).trim());
    }
  }
  return names.size > 0 ? [...names] : ["?"];
}

/** The socket inodes that a /proc/net/tcp table shows in state LISTEN (0A) on a port (proc_net_tcp(5)). */
export function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return table
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((f) => f[1]?.endsWith(`:${hex}`) && f[3] === "0A")
    .map((f) => f[9]!);
}

function readLink(path: string): string {
  try {
    return fs.readlinkSync(path);
  } catch {
    return "";
  }
}

function list(path: string): string[] {
  try {
    return fs.readdirSync(path);
  } catch {
    return [];
  }
}
