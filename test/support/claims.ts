import * as fs from "node:fs";
import { join } from "node:path";
import { readSystemFile } from "../../lib/host/system-files.ts";

/** Where this machine's test runs say which nodes are theirs; gone with a restart, as the nodes are. */
const CLAIMS = "/run/kubestick-tests";
/** Host parts of the bridge's /24 that nodes get; what is below is the bridge's and for tests that need an address nobody has. */
const FIRST = 10;
const LAST = 249;

/** What a claim's file says. */
interface Claim {
  /** The process that holds it, and when that began, since ids are given again. */
  pid: number;
  started: string;
  /** Where the node's files lie. */
  dir: string;
}

/** A node's number on this machine, and the directory of one that a dead run left under it. */
export interface ClaimedNumber {
  index: number;
  left: string | undefined;
}

/**
 * Gives a number that no living process has: address, link, control group and directory come from it, so that files
 * and whole runs stand side by side. It is this process' until it ends. `dirOf` names the node's directory by its number.
 */
export function claimNumber(dirOf: (index: number) => string): ClaimedNumber {
  fs.mkdirSync(CLAIMS, { recursive: true });
  for (let index = FIRST; index <= LAST; index++) {
    const own: Claim = { pid: process.pid, started: startOf(process.pid), dir: dirOf(index) };
    const claimed = claim(index, own);
    if (claimed) return { index, left: claimed.left };
  }
  throw new Error(`every number from ${FIRST} to ${LAST} is taken by a running test; see ${CLAIMS}`);
}

function claim(index: number, own: Claim): { left: string | undefined } | undefined {
  // Whoever finds a dead claim makes the next one of that number; the kernel lets one of them succeed.
  const turns = fs
    .readdirSync(CLAIMS)
    .flatMap((name) => (name.startsWith(`${index}.`) ? [Number(name.split(".")[1])] : []));
  const last = Math.max(0, ...turns);
  const holder =
    last === 0 ? undefined : (JSON.parse(fs.readFileSync(join(CLAIMS, `${index}.${last}`), "utf8")) as Claim);
  if (holder && startOf(holder.pid) === holder.started) return undefined;
  const made = join(CLAIMS, `new-${own.pid}`);
  fs.writeFileSync(made, JSON.stringify(own));
  try {
    fs.linkSync(made, join(CLAIMS, `${index}.${last + 1}`));
    return { left: holder?.dir };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return undefined;
    throw error;
  } finally {
    fs.rmSync(made);
  }
}

/** When a process began, in the kernel's ticks; empty for one that is not there (proc_pid_stat(5), field 22). */
function startOf(pid: number): string {
  const stat = readSystemFile(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
