import { join } from "node:path";
import { installBinary } from "../binaries/install.ts";
import type { Decision } from "../binaries/plan.ts";
import type { Bundle } from "../bundle/bundle.ts";
import { LOCAL_BIN_DIR, OWN_EXECUTABLE } from "../constants/paths.ts";
import { findProgram } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { tryRun } from "../host/process.ts";
import { stableExecutable } from "../services/executable.ts";
import type { Say } from "../ui/ui.ts";

/** The programs that a host has, and how one gets there. */
export interface Programs {
  /** The path of a program; undefined where this host has none of that name. */
  find(name: string): string | undefined;
  /** Whether a program that is needed is not there. */
  lacks(name: string): boolean;
  /** What a program prints; empty where it is not there, or would be another by then. */
  ask(name: string, args: string[]): string;
  /** The words that run this kubestick again, later and detached. */
  self(): string[];
  /** Installs one host binary of a bundle as decided, and says so. Throws KubestickError. */
  install(bundle: Bundle, decision: Decision, say: Say): Promise<void>;
}

/** The programs of this host. */
export const realPrograms = (files: Files): Programs => ({
  find: findProgram,
  lacks: (name) => findProgram(name) === undefined,
  ask(name, args) {
    const program = findProgram(name);
    return program ? tryRun(program, args).stdout : "";
  },
  self: stableExecutable,
  async install(bundle, decision, say) {
    const written = await installBinary(bundle, decision, files);
    if (written.length > 0) say(`Installed ${describe(decision)}`);
  },
});

/** The programs of this host, as if those that it lacks had been installed. */
export const dryPrograms: Programs = {
  find: (name) => findProgram(name) ?? join(LOCAL_BIN_DIR, name),
  lacks: () => false,
  ask: () => "",
  self: () => [OWN_EXECUTABLE],
  install: async (_, decision, say) => say(`Would install ${describe(decision)}`),
};

const describe = ({ kind, binary, directory, why }: Decision) =>
  `${kind.name} ${binary.version} into ${directory} (${why})`;
