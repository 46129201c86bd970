import { define, isPlain, own, type Plain } from "../yaml/plain.ts";

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
 * (https://git.k8s.io/community/contributors/devel/sig-api-machinery/strategic-merge-patch.md, apimachinery
 * strategicpatch/patch.go): objects merge, null removes, lists merge by their key, and what the patch adds to a list
 * comes before what it does not name; `$patch: delete|replace|merge`, `$retainKeys` and `$deleteFromPrimitiveList` are
 * understood. Inputs stay as they are. Throws Error on a directive or list item that cannot be.
 */
export function applyStrategicPatch(target: Plain, patch: Plain): Plain {
  return mergeObject(target, patch);
}

function mergeObject(target: unknown, patch: Plain): Plain {
  const directive = own(patch, "$patch");
  if (directive === "delete") return {};
  if (directive === "replace") return strip(patch);
  if (directive !== undefined && directive !== "merge")
    throw new Error(`unknown $patch directive ${JSON.stringify(directive)}`);
  const out: Plain = isPlain(target) ? { ...target } : {};
  const retain = own(patch, "$retainKeys");
  if (Array.isArray(retain)) {
    for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key];
  }
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$deleteFromPrimitiveList/")) {
      const field = key.slice("$deleteFromPrimitiveList/".length);
      const gone = new Set(Array.isArray(value) ? value : []);
      const list = own(out, field);
      if (Array.isArray(list))
        define(
          out,
          field,
          list.filter((item) => !gone.has(item)),
        );
    } else if (!key.startsWith("$")) {
      const merged = mergeValue(key, own(out, key), value);
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
  const mergeKey = own(MERGE_KEYS, key);
  if (mergeKey) return mergeList(Array.isArray(target) ? target : [], value, mergeKey, key);
  if (MERGED_VALUES.has(key) && Array.isArray(target)) return [...new Set([...target, ...value])];
  return structuredClone(value);
}

function mergeList(target: unknown[], patch: unknown[], mergeKey: string, field: string): unknown[] {
  const keyOf = (item: unknown): unknown => {
    const key = isPlain(item) ? own(item, mergeKey) : undefined;
    if (key === undefined) throw new Error(`an item of ${field} has no ${mergeKey}`);
    return key;
  };
  const directives = patch.map((item) => (isPlain(item) ? own(item, "$patch") : undefined));
  const plain = patch.filter((_, i) => directives[i] === undefined);
  if (directives.includes("replace"))
    return plain.map((item) => mergeObject({ [mergeKey]: keyOf(item) }, item as Plain));
  const strange = directives.find((d) => d !== undefined && d !== "delete");
  if (strange !== undefined) throw new Error(`unknown $patch directive ${JSON.stringify(strange)}`);
  const gone = new Set(patch.filter((_, i) => directives[i] === "delete").map(keyOf));
  const server = new Map<unknown, unknown>();
  for (const item of target) if (!gone.has(keyOf(item))) server.set(keyOf(item), item);
  const patched = new Map<unknown, Plain>();
  for (const item of plain) {
    const key = keyOf(item);
    patched.set(key, mergeObject(patched.get(key) ?? server.get(key) ?? {}, item as Plain));
  }
  return inOrder(server, patched);
}

/**
 * The items that the patch names, in its order, among those that it does not, in theirs: as strategicpatch's
 * normalizeElementOrder has it, where an item that is new comes first.
 */
function inOrder(server: Map<unknown, unknown>, patched: Map<unknown, Plain>): unknown[] {
  const place = new Map([...server.keys()].map((key, i) => [key, i]));
  const kept = [...server].filter(([key]) => !patched.has(key));
  const out: unknown[] = [];
  let next = 0;
  for (const [key, item] of patched) {
    const at = place.get(key);
    while (at !== undefined && next < kept.length && place.get(kept[next]![0])! < at) out.push(kept[next++]![1]);
    out.push(item);
  }
  return [...out, ...kept.slice(next).map(([, item]) => item)];
}

function strip(value: Plain): Plain {
  const out: Plain = {};
  for (const [key, item] of Object.entries(value)) if (!key.startsWith("$")) define(out, key, item);
  return out;
}
