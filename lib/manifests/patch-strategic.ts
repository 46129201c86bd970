import { define, isPlain, type Plain } from "./patch-json.ts";

/**
 * Merge keys of the lists in a Pod and in a Deployment's pod template, by field name
 * (`patchMergeKey` in k8s.io/api/core/v1 types.go). A list that is not here is replaced whole.
 */
const MERGE_KEYS: Record<string, string> = {
  containers: "name",
  initContainers: "name",
  ephemeralContainers: "name",
  env: "name",
  ports: "containerPort",
  volumes: "name",
  volumeMounts: "mountPath",
  volumeDevices: "devicePath",
  hostAliases: "ip",
  imagePullSecrets: "name",
  topologySpreadConstraints: "topologyKey",
  resourceClaims: "name",
  schedulingGates: "name",
  conditions: "type",
  ownerReferences: "uid",
};

/** Lists of plain values that are merged, not replaced. */
const MERGED_VALUES = new Set(["finalizers"]);

/**
 * A strategic merge patch of a Pod, Deployment or component configuration
 * (https://git.k8s.io/community/contributors/devel/sig-api-machinery/strategic-merge-patch.md): objects merge, null
 * removes, lists merge by their key; `$patch: delete|replace|merge`, `$retainKeys` and `$deleteFromPrimitiveList` are
 * understood. Inputs stay as they are. Throws Error on a directive or list item that cannot be.
 */
export function applyStrategicPatch(target: Plain, patch: Plain): Plain {
  return mergeObject(target, patch) ?? {};
}

function mergeObject(target: unknown, patch: Plain): Plain | undefined {
  const directive = patch["$patch"];
  if (directive === "delete") return undefined;
  if (directive === "replace") return strip(patch);
  if (directive !== undefined && directive !== "merge")
    throw new Error(`unknown $patch directive ${JSON.stringify(directive)}`);
  const out: Plain = isPlain(target) ? { ...target } : {};
  const retain = patch["$retainKeys"];
  if (Array.isArray(retain)) {
    for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$deleteFromPrimitiveList/")) {
      const field = key.slice("$deleteFromPrimitiveList/".length);
      const gone = Array.isArray(value) ? value : [];
      if (Array.isArray(out[field])) out[field] = (out[field] as unknown[]).filter((item) => !gone.includes(item));
    } else if (!key.startsWith("$")) {
      const merged = mergeValue(key, out[key], value);
      if (merged === undefined) delete out[key];
      else define(out, key, merged);
    }
  }
  return out;
}

function mergeValue(key: string, target: unknown, value: unknown): unknown {
  if (value === null) return undefined;
  if (isPlain(value)) return mergeObject(target, value);
  if (!Array.isArray(value)) return value;
  const mergeKey = MERGE_KEYS[key];
  if (mergeKey && value.every(isPlain))
    return mergeList(Array.isArray(target) ? target : [], value as Plain[], mergeKey, key);
  if (MERGED_VALUES.has(key) && Array.isArray(target)) return [...new Set([...target, ...value])];
  return structuredClone(value);
}

function mergeList(target: unknown[], patch: Plain[], mergeKey: string, field: string): unknown[] {
  if (patch.some((item) => item["$patch"] === "replace" && item[mergeKey] === undefined)) {
    return patch.filter((item) => item["$patch"] === undefined).map(strip);
  }
  const out = [...target];
  for (const item of patch) {
    if (item[mergeKey] === undefined) throw new Error(`an item of ${field} has no ${mergeKey}`);
    const at = out.findIndex((existing) => isPlain(existing) && existing[mergeKey] === item[mergeKey]);
    const merged = mergeObject(at === -1 ? {} : out[at], item);
    if (at === -1) {
      if (merged) out.push(merged);
    } else if (merged) out[at] = merged;
    else out.splice(at, 1);
  }
  return out;
}

function strip(value: Plain): Plain {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith("$")));
}
