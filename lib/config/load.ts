import { own } from "../yaml/plain.ts";
import { type ConfigDocument, readDocuments } from "./document.ts";
import { mergeUnder } from "./fill.ts";
import type { ComponentConfig, Kind, Report, Slot } from "./kind.ts";
import type { ClusterConfiguration } from "./kinds/cluster.ts";
import type { InitConfiguration } from "./kinds/init.ts";
import type { JoinConfiguration } from "./kinds/join.ts";
import type { Problem } from "./problems.ts";
import { CURRENT, kindOf } from "./registry.ts";
import type { Given } from "./schema.ts";

/** What a command works from. One file may serve several commands: the others' documents are theirs to judge. */
const USED: Record<"init" | "join", Slot[]> = {
  init: ["init", "cluster", "kubelet", "kubeProxy"],
  join: ["join"],
};

const SLOTS = Object.keys(CURRENT) as Slot[];

/** The documents of one configuration, as they were given. */
interface Documents {
  init?: Given<InitConfiguration>;
  cluster?: Given<ClusterConfiguration>;
  join?: JoinConfiguration;
  kubelet?: ComponentConfig;
  kubeProxy?: ComponentConfig;
}

/** The documents of one configuration, read and checked, before defaulting. */
export interface ParsedConfig extends Documents {
  warnings: string[];
  /** Reports a problem at a path of a document that was (or was not) there. */
  report(slot: Slot): Report;
  problems: Problem[];
}

/**
 * Reads a configuration file's text: multi-document YAML of the kinds that kubeadm takes. Every problem of every
 * document that the command works from is collected in `problems`; nothing is thrown.
 */
export function parseConfig(text: string, file: string, command: keyof typeof USED = "init"): ParsedConfig {
  const { documents, problems } = readDocuments(text, file);
  const used = USED[command];
  const seen = new Set<string>();
  const sources: Partial<Record<Slot, ConfigDocument>> = {};
  const values: Partial<Record<Slot, object>> = {};
  /** What documents of old versions said of others. */
  const moved: [Slot, object][] = [];
  const warnings: string[] = [];
  for (const doc of documents) {
    const name = doc.kind ?? "document";
    const at = { file, line: doc.startLine, path: name };
    const kind = kindOf(doc.apiVersion, doc.kind);
    if (kind !== "foreign" && "wrong" in kind) {
      problems.push({ ...at, message: kind.wrong });
      continue;
    }
    if (seen.has(name)) {
      problems.push({ ...at, message: "is given twice; keep one document of each kind" });
      continue;
    }
    seen.add(name);
    if (kind === "foreign" || !used.includes(kind.slot)) {
      warnings.push(`${file}:${doc.startLine}: ${name} is not used by ${command} and is ignored`);
      if (kind !== "foreign") sources[kind.slot] = doc;
      continue;
    }
    sources[kind.slot] = doc;
    const { [kind.slot]: own, ...others } = readDocument(doc, kind, warnings);
    values[kind.slot] = own;
    moved.push(...(Object.entries(others) as [Slot, object][]));
  }
  for (const [slot, under] of moved) values[slot] = mergeUnder({ ...under }, values[slot]);
  const report =
    (slot: Slot): Report =>
    (path, message) => {
      const { kind } = CURRENT[slot];
      const doc = sources[slot];
      if (doc) doc.report(path, message);
      else problems.push({ file, line: documents[0]?.startLine ?? 1, path: path ? `${kind}.${path}` : kind, message });
    };
  const parsed: ParsedConfig = { ...(values as Documents), warnings, report, problems };
  checkDocuments(parsed);
  const needed = used.map((slot): Kind => CURRENT[slot]).filter((kind) => !kind.component);
  if (problems.length === 0 && !needed.some(({ slot }) => values[slot]))
    problems.push({
      file,
      line: 1,
      path: "document",
      message: `there is no ${needed.map(({ kind }) => kind).join(" or ")} in it`,
    });
  return parsed;
}

/** What a document says of itself, and, where it is of an old version, of others; what is old or does nothing is warned of. */
function readDocument(doc: ConfigDocument, kind: Kind, warnings: string[]): Partial<Record<Slot, object>> {
  const read = doc.read(kind.schema);
  const { apiVersion: _, kind: __, ...fields } = read;
  const values = kind.convert?.(fields) ?? { [kind.slot]: kind.component ? read : fields };
  const warn = (line: number, text: string) => warnings.push(`${doc.file}:${line}: ${kind.kind}${text}`);
  if (kind.convert)
    warn(doc.startLine, ` is ${kind.apiVersion}, which is old; write ${CURRENT[kind.slot].apiVersion.split("/")[1]}`);
  for (const { path, why, when } of kind.noEffect) {
    if (when && !when(values[kind.slot])) continue;
    for (const at of doc.pathsLike(path)) warn(doc.lineOf(at), `.${at} has no effect here: ${why}`);
  }
  return values;
}

/** Brings what was given into its one form and checks it; used for files and for flags, and again after defaulting. */
export function checkDocuments(parsed: ParsedConfig): void {
  for (const slot of SLOTS) {
    const kind: Kind = CURRENT[slot];
    const given = parsed[slot];
    if (!given) continue;
    kind.normalize?.(given, (message) => parsed.warnings.push(message));
    kind.validate(given, parsed.report(slot));
  }
}

/** Values given as flags, in a configuration's shape, with the flag that each path came from. */
export interface FlagConfig extends Pick<Documents, "init" | "cluster" | "join"> {
  /** `networking.podSubnet` → `--pod-network-cidr` */
  flagOf: Record<string, string>;
}

/** The same result as `parseConfig`, from flags; problems name the flag. */
export function parseFlags(flags: FlagConfig): ParsedConfig {
  const problems: Problem[] = [];
  const report = (): Report => (path, message) => {
    const flag = own(flags.flagOf, path) ?? own(flags.flagOf, path.replace(/\[\d+\].*$/, "")) ?? path;
    problems.push({ file: "command line", line: 1, path: flag, message });
  };
  const parsed: ParsedConfig = { ...flags, warnings: [], report, problems };
  checkDocuments(parsed);
  return parsed;
}
