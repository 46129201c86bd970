import { KubestickError } from "../errors.ts";
import type { HostFacts } from "../host/facts.ts";
import { unmountBelow } from "../host/mounts.ts";
import type { Left } from "../host/remove.ts";
import type { Say } from "../ui/ui.ts";

/** Something that is taken off a host. `remove` gives what of it was left. */
export interface Removal {
  path: string;
  remove: () => Left[];
}

/** Something that kubestick replaced, and that goes back to where it was. `restore` gives what could not be. */
export interface Restoration {
  path: string;
  restore: () => Left[];
}

/** How what is no longer wanted goes off a host's disks. */
export interface Remover {
  /** Throws KubestickError where this process may not remove anything. */
  mayBegin(facts: HostFacts): void;
  /** Unmounts everything below some directories; gives what stays mounted. */
  unmountBelow(directories: string[]): Promise<Left[]>;
  /** Removes things one after the other; gives what was left of them. */
  remove(removals: Removal[], say: Say): Left[];
  /** Puts things back; gives what could not be. */
  restore(restorations: Restoration[], say: Say): Left[];
}

/** Removes. */
export const realRemover: Remover = {
  mayBegin({ root }) {
    if (!root) throw new KubestickError("this is not root", { exitCode: 3, hint: "run the same command with sudo" });
  },
  unmountBelow,
  remove: (removals) => removals.flatMap(({ remove }) => remove()),
  restore: (restorations) => restorations.flatMap(({ restore }) => restore()),
};

/** Says what it would remove; `exists` says whether something is there. */
export const dryRemover = (exists: (path: string) => boolean): Remover => ({
  mayBegin: () => undefined,
  unmountBelow: async () => [],
  remove(removals, say) {
    for (const { path } of removals) if (exists(path)) say(`Would remove ${path}`);
    return [];
  },
  restore(restorations, say) {
    for (const { path } of restorations) say(`Would put back what was at ${path} before`);
    return [];
  },
});
