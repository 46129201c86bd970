import { join } from "node:path";
import { parse, stringify } from "yaml";
import { KubestickError, reason, UsageError } from "../host/errors.ts";
import type { Files } from "../host/files.ts";
import { applyJsonPatch, applyMergePatch, type JsonPatchOperation, type Plain } from "./patch-json.ts";
import { applyStrategicPatch } from "./patch-strategic.ts";

/** What a user's patch can change (kubeadm util/patches; kubeproxydaemonset since v1.37). */
export const PATCH_TARGETS = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubeletconfiguration",
  "corednsdeployment",
  "kubeproxydaemonset",
] as const;
export type PatchTarget = (typeof PATCH_TARGETS)[number];

/** A user's patch, read from its file. */
export interface Patch {
  file: string;
  target: PatchTarget;
  type: "strategic" | "merge" | "json";
  value: unknown;
}

const NAME = /^([a-z-]+?)(\d*|[-a-zA-Z0-9]*?)(?:\+(strategic|merge|json))?\.(yaml|json)$/;

/**
 * Reads the patches of a directory: files named `target[suffix][+strategic|merge|json].yaml|json`, in order of their
 * names (kubeadm --patches). Throws UsageError, naming the file, on one that cannot be one.
 */
export function readPatches(files: Files, directory: string): Patch[] {
  const names = files.list(directory).filter((name) => /\.(yaml|json)$/.test(name));
  if (!files.exists(directory)) throw new UsageError(`the patches directory ${directory} is not there`);
  const patches: Patch[] = [];
  for (const name of names) {
    const path = join(directory, name);
    const target = PATCH_TARGETS.find((t) => name.startsWith(t));
    const match = NAME.exec(name);
    if (!target || !match) {
      throw new UsageError(
        `${path} is not a patch's file name`,
        `name it target[suffix][+patchtype].yaml; targets: ${PATCH_TARGETS.join(", ")}; types: strategic, merge, json`,
      );
    }
    const type = (match[3] ?? "strategic") as Patch["type"];
    for (const text of (files.readText(path) ?? "").split(/^---\s*$/m)) {
      let value: unknown;
      try {
        value = parse(text, { maxAliasCount: 0 });
      } catch (error) {
        throw new UsageError(`${path} is not YAML: ${reason(error).split("\n")[0]}`);
      }
      if (value === null || value === undefined) continue;
      if (type === "json" ? !Array.isArray(value) : typeof value !== "object" || Array.isArray(value)) {
        throw new UsageError(
          `${path}: a ${type} patch must be ${type === "json" ? "a list of operations" : "a mapping"}`,
        );
      }
      patches.push({ file: path, target, type, value });
    }
  }
  return patches;
}

/** An object with a target's patches applied, in order. Throws KubestickError with the file's name where one does not fit. */
export function applyPatches(object: Plain, target: PatchTarget, patches: Patch[]): Plain {
  let result = object;
  for (const patch of patches.filter((p) => p.target === target)) {
    try {
      if (patch.type === "json") result = applyJsonPatch(result, patch.value as JsonPatchOperation[]) as Plain;
      else if (patch.type === "merge") result = applyMergePatch(result, patch.value) as Plain;
      else result = applyStrategicPatch(result, patch.value as Plain);
    } catch (error) {
      throw new KubestickError(`cannot apply the patch ${patch.file}: ${reason(error)}`, { cause: error });
    }
  }
  return result;
}

/** YAML with sorted keys, as sigs.k8s.io/yaml writes static pods and component configurations. */
export function sortedYaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, indentSeq: false, sortMapEntries: true, aliasDuplicateObjects: false });
}
