import { readdirSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { KubestickError, reason, UsageError } from "../errors.ts";
import { readPlainFile } from "../host/plain-file.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { readYamlDocuments, YamlError, yamlText } from "../yaml/read.ts";
import { brokenKubeletConfiguration, notAString } from "./patch-check.ts";
import { applyJsonPatch, applyMergePatch, type JsonPatchOperation, MAX_SIZE, size } from "./patch-json.ts";
import { applyStrategicPatch } from "./patch-strategic.ts";

/** What a user's patch can change (kubeadm util/patches; kubeproxydaemonset since v1.37). */
const PATCH_TARGETS = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubeletconfiguration",
  "corednsdeployment",
  "kubeproxydaemonset",
] as const;
/** One of them. */
export type PatchTarget = (typeof PATCH_TARGETS)[number];

const TYPES = ["json", "merge", "strategic"] as const;

/** One document of a patch file. */
export interface Patch {
  file: string;
  target: PatchTarget;
  type: (typeof TYPES)[number];
  value: unknown;
}

/** The patches of a directory, and a line for each file in it that is none. */
export interface Patches {
  patches: Patch[];
  ignored: string[];
}

/** More than any directory of patches holds. */
const MAX_FILES = 1000;
const MAX_BYTES = 1024 * 1024;

/** Target, a suffix of anything but `.` and `+`, and a type; what follows is the extension's (kubeadm patches.go parseFilename). */
const NAME = new RegExp(`^(${PATCH_TARGETS.join("|")})[^.+\\n]*(\\+)?(${TYPES.join("|")})?`);

/**
 * Reads the patches of a directory of this machine, and of those in it, in order of their names (kubeadm --patches):
 * files named `target[suffix][+strategic|merge|json].yaml|json`. Other files are named as not used. Throws UsageError,
 * naming the file, on one that should be a patch and cannot be.
 */
export function readPatches(directory: string): Patches {
  const found: Patches = { patches: [], ignored: [] };
  let bytes = 0;
  for (const path of filesBelow(directory)) {
    const name = basename(path);
    const ignore = (why: string) => found.ignored.push(`Ignoring file ${relative(directory, path)}: ${why}`);
    const [, target, plus, type] = NAME.exec(name) ?? [];
    if (!/.\.(json|yaml)$/s.test(name)) ignore("the extension must be json or yaml");
    else if (target === undefined) ignore(`its name begins with none of ${PATCH_TARGETS.join(", ")}`);
    else if (plus && type === undefined)
      throw new UsageError(`${path}: what follows + in its name is no patch type`, `known: ${TYPES.join(", ")}`);
    else {
      const data = read(path);
      bytes += data.length;
      if (bytes > MAX_BYTES) throw new UsageError(`the patches in ${directory} are larger than ${MAX_BYTES} bytes`);
      if (data.length === 0) ignore("it is empty");
      const kind = { file: path, target: target as PatchTarget, type: (type ?? "strategic") as Patch["type"] };
      for (const value of documents(path, data)) found.patches.push(checked({ ...kind, value }));
    }
  }
  return found;
}

/** The paths of all files below a directory, in order of their names, directories among them in theirs. */
function filesBelow(directory: string): string[] {
  const files: string[] = [];
  let entries = 0;
  const walk = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (++entries > MAX_FILES)
        throw new UsageError(`${directory} holds more than ${MAX_FILES} files; is it the patches directory?`);
      const at = join(path, entry.name);
      if (entry.isDirectory()) walk(at);
      else files.push(at);
    }
  };
  try {
    walk(directory);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read the patches directory ${directory}: ${reason(error)}`);
  }
  return files;
}

function read(path: string): Buffer {
  try {
    return readPlainFile(path, MAX_BYTES);
  } catch (error) {
    throw new UsageError(`cannot read the patch ${path}: ${reason(error)}`);
  }
}

function documents(path: string, data: Buffer): unknown[] {
  try {
    return [...readYamlDocuments(yamlText(data))];
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw new UsageError(`${path}:${error.line}: is not YAML: ${error.message}`);
  }
}

function checked(patch: Patch): Patch {
  const { type, value, file } = patch;
  if (type === "json" ? Array.isArray(value) : isPlain(value)) return patch;
  throw new UsageError(`${file}: a ${type} patch must be ${type === "json" ? "a list of operations" : "a mapping"}`);
}

/** An object with a target's patches applied, in order. Throws KubestickError with the file's name where one does not fit. */
export function applyPatches(object: Plain, target: PatchTarget, patches: Patch[]): Plain {
  let result = object;
  for (const patch of patches.filter((p) => p.target === target)) {
    try {
      const patched = applyPatch(result, patch);
      if (!isPlain(patched)) throw new Error("it leaves no object");
      if (size(patched) > MAX_SIZE) throw new Error(`it makes an object of more than ${MAX_SIZE} characters`);
      const wrong =
        target === "kubeletconfiguration" ? brokenKubeletConfiguration(result, patched) : notAString(patched);
      if (wrong) throw new Error(wrong);
      result = patched;
    } catch (error) {
      // A path can be as long as the patch.
      const why = reason(error).slice(0, 500);
      throw new KubestickError(`cannot apply the patch ${patch.file}: ${why}`, { cause: error });
    }
  }
  return result;
}

function applyPatch(object: Plain, { type, value }: Patch): unknown {
  if (type === "json") return applyJsonPatch(object, value as JsonPatchOperation[]);
  return type === "merge" ? applyMergePatch(object, value) : applyStrategicPatch(object, value as Plain);
}
