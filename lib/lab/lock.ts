import { join } from "node:path";
import { makeDirectory } from "../host/directories.ts";
import { type Lock, lockTarget } from "../host/lock.ts";

/** The lock of whoever makes a lab or takes it down. Throws KubestickError where somebody else does. */
export function lockLab(dir: string, name: string): Lock {
  makeDirectory(dir, 0o700);
  return lockTarget(join(dir, name));
}
