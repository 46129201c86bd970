import { dirname, isAbsolute, join } from "node:path";
import { reason } from "../errors.ts";
import type { Files } from "../host/files.ts";

/** A place in a configuration file. */
export interface Place {
  file: string;
  line: number;
}

/** What an existing containerd configuration, with what it imports, says of what Kubernetes needs. */
export interface ExistingContainerd {
  /** Where its CRI plugin is switched off. */
  disabled: (Place & { plugin: string })[];
  /** Files that containerd itself cannot read. */
  broken: { file: string; why: string }[];
  /** Where images and layers lie. */
  root: string | undefined;
  /** The socket that it listens on. */
  address: string | undefined;
  /** Where it looks for registries' hosts.toml. */
  registryPath: (Place & { value: string }) | undefined;
  /** Where it looks for CNI plugins and their configuration. */
  cniBinDirs: string[] | undefined;
  cniConfDir: string | undefined;
  snapshotter: string | undefined;
  disableApparmor: boolean;
}

/** The names of the CRI plugin and its parts, in configurations of version 1, 2 and 3 (containerd docs/cri/config.md). */
const CRI_PLUGINS = ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "io.containerd.cri.v1.images"];
/** More files than anybody's configuration has; imports may import each other. */
const MAX_FILES = 64;
const MAX_BYTES = 1 << 20;

type Table = Record<string, unknown>;

const table = (value: unknown): Table =>
  value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Table) : {};
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.flatMap((item) => text(item) ?? []) : []);

/** The value at a path of tables. */
const at = (value: unknown, ...path: string[]): unknown =>
  path.reduce((found: unknown, key) => (Object.hasOwn(table(found), key) ? table(found)[key] : undefined), value);

/** Reads a containerd configuration and what it imports, the later one winning; undefined where there is none. */
export function readExistingContainerd(files: Files, path: string): ExistingContainerd | undefined {
  if (!files.exists(path)) return undefined;
  const found: ExistingContainerd = {
    disabled: [],
    broken: [],
    root: undefined,
    address: undefined,
    registryPath: undefined,
    cniBinDirs: undefined,
    cniConfDir: undefined,
    snapshotter: undefined,
    disableApparmor: false,
  };
  const queue = [path];
  const seen = new Set<string>();
  for (let file = queue.shift(); file !== undefined && seen.size < MAX_FILES; file = queue.shift()) {
    if (seen.has(file)) continue;
    seen.add(file);
    try {
      const source = files.readText(file) ?? "";
      if (source.length > MAX_BYTES) throw new RangeError(`it is larger than ${MAX_BYTES} bytes`);
      const parsed = table(Bun.TOML.parse(source));
      takeIn(found, parsed, file, source);
      for (const pattern of texts(parsed["imports"])) queue.push(...imported(files, file, pattern));
    } catch (error) {
      found.broken.push({ file, why: reason(error) });
    }
  }
  return found;
}

function takeIn(found: ExistingContainerd, parsed: Table, file: string, source: string): void {
  for (const plugin of texts(parsed["disabled_plugins"]))
    if (CRI_PLUGINS.includes(plugin))
      found.disabled.push({ plugin, file, line: lineOf(source, plugin, "disabled_plugins") });
  found.root = text(parsed["root"]) ?? found.root;
  found.address = text(at(parsed, "grpc", "address")) ?? found.address;
  for (const name of CRI_PLUGINS) {
    const cri = at(parsed, "plugins", name);
    const registry = text(at(cri, "registry", "config_path"));
    if (registry !== undefined)
      found.registryPath = { value: registry, file, line: lineOf(source, registry, "config_path") };
    const dirs = [...texts(at(cri, "cni", "bin_dirs")), ...texts([at(cri, "cni", "bin_dir")])];
    if (dirs.length > 0) found.cniBinDirs = dirs;
    found.cniConfDir = text(at(cri, "cni", "conf_dir")) ?? found.cniConfDir;
    found.snapshotter = text(at(cri, "snapshotter")) ?? text(at(cri, "containerd", "snapshotter")) ?? found.snapshotter;
    if (at(cri, "disable_apparmor") === true) found.disableApparmor = true;
  }
}

/** The line where a key's value stands: the first at or after the key that names it outside of a comment. */
function lineOf(source: string, value: string, key: string): number {
  const lines = source.split("\n").map((line) => line.replace(/^\s*#.*/, ""));
  const start = lines.findIndex((line) => line.includes(key) && line.includes("="));
  const found = lines.findIndex((line, i) => i >= start && line.includes(value));
  return Math.max(0, found) + 1;
}

/** The files that an import names; its last part may be a pattern (containerd loadConfigFile, filepath.Glob). */
function imported(files: Files, from: string, pattern: string): string[] {
  const path = isAbsolute(pattern) ? pattern : join(dirname(from), pattern);
  if (!/[*?[]/.test(path)) return [path];
  const names = new Bun.Glob(path.slice(path.lastIndexOf("/") + 1));
  return files
    .list(dirname(path))
    .filter((name) => names.match(name))
    .map((name) => join(dirname(path), name));
}
