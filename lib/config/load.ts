import { own, type Plain } from "../yaml/plain.ts";
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
  const warnings: string[] = [];
  const sources: Partial<Record<Slot, ConfigDocument>> = {};
  const values: Partial<Record<Slot, Plain>> = {};
  /** What documents of old versions said of others. */
  const moved: [Slot, Plain][] = [];
  for (const { doc, kind } of knownDocuments(documents, problems)) {
    if (kind) sources[kind.slot] = doc;
    if (kind && used.includes(kind.slot)) {
      const { [kind.slot]: own, ...others } = readDocument(doc, kind, warnings);
      values[kind.slot] = own;
      moved.push(...(Object.entries(others) as [Slot, Plain][]));
    } else warnings.push(`${file}:${doc.startLine}: ${doc.kind} is not used by ${command} and is ignored`);
  }
  for (const [slot, under] of moved) values[slot] = mergeUnder(under, values[slot]);
  const report =
    (slot: Slot): Report =>
    (path, message) => {
      const { kind } = CURRENT[slot];
      const line = documents[0]?.startLine ?? 1;
      if (sources[slot]) sources[slot].report(path, message);
      else problems.push({ file, line, path: path ? `${kind}.${path}` : kind, message });
    };
  const parsed: ParsedConfig = { ...(values as Documents), warnings, report, problems };
  checkDocuments(parsed);
  const needed = used.map((slot): Kind => CURRENT[slot]).filter(({ component }) => !component);
  if (problems.length === 0 && !needed.some(({ slot }) => values[slot])) {
    const kinds = needed.map(({ kind }) => kind).join(" or ");
    problems.push({ file, line: 1, path: "document", message: `there is no ${kinds} in it` });
  }
  return parsed;
}

/** The documents that say what they are, each kind once, without a kind where it is kubeadm's and not read here. */
function knownDocuments(documents: ConfigDocument[], problems: Problem[]): { doc: ConfigDocument; kind?: Kind }[] {
  const seen = new Set<string>();
  return documents.flatMap((doc) => {
    const path = doc.kind || "document";
    const { kind, wrong } = kindOf(doc.apiVersion, doc.kind);
    const message = wrong ?? (seen.has(path) ? "is given twice; keep one document of each kind" : undefined);
    if (message !== undefined) {
      problems.push({ file: doc.file, line: doc.startLine, path, message });
      return [];
    }
    seen.add(path);
    return [{ doc, kind }];
  });
}

/** What a document says of itself, and, where it is of an old version, of others; what is old or does nothing is warned of. */
function readDocument(doc: ConfigDocument, kind: Kind, warnings: string[]): Partial<Record<Slot, Plain>> {
  const read = doc.read(kind.schema);
  const { apiVersion: _, kind: __, ...fields } = read;
  const values: Partial<Record<Slot, Plain>> = kind.convert?.(fields) ?? {
    [kind.slot]: kind.component ? read : fields,
  };
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
