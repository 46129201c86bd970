export type Plain = Record<string, unknown>;

/** One operation of a JSON patch (RFC 6902). */
export interface JsonPatchOperation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

/** A JSON merge patch (RFC 7386): null removes, objects merge, anything else replaces. Inputs stay as they are. */
export function applyMergePatch(target: unknown, patch: unknown): unknown {
  if (!isPlain(patch)) return structuredClone(patch);
  const out: Plain = isPlain(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key];
    else define(out, key, applyMergePatch(out[key], value));
  }
  return out;
}

/** A JSON patch (RFC 6902) on a copy of the document. Throws Error where an operation does not fit or a test fails. */
export function applyJsonPatch(document: unknown, operations: JsonPatchOperation[]): unknown {
  const root = { "": structuredClone(document) };
  for (const operation of operations) apply(root, operation);
  return root[""];
}

function apply(root: { "": unknown }, { op, path, from, value }: JsonPatchOperation): void {
  if (typeof path !== "string") throw new Error("an operation has no path");
  if (op === "copy" || op === "move") {
    const moved = structuredClone(get(root, from ?? ""));
    if (op === "move") remove(root, from ?? "");
    add(root, path, moved);
  } else if (op === "add") add(root, path, structuredClone(value));
  else if (op === "remove") remove(root, path);
  else if (op === "replace") {
    get(root, path);
    const [parent, key] = parentOf(root, path);
    if (Array.isArray(parent)) parent[Number(key)] = structuredClone(value);
    else define(parent, key, structuredClone(value));
  } else if (op === "test") {
    if (!Bun.deepEquals(get(root, path), value)) throw new Error(`test failed at ${path}`);
  } else throw new Error(`unknown operation "${op}"; known: add, remove, replace, move, copy, test`);
}

function tokens(pointer: string): string[] {
  if (pointer !== "" && !pointer.startsWith("/")) throw new Error(`the path "${pointer}" must begin with /`);
  return pointer.split("/").map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

function parentOf(root: Plain, pointer: string): [Plain | unknown[], string] {
  const parts = tokens(pointer);
  let at: unknown = root;
  for (const token of parts.slice(0, -1)) at = child(at, token, pointer);
  if (!Array.isArray(at) && !isPlain(at)) throw new Error(`nothing at ${pointer}`);
  return [at, parts.at(-1)!];
}

function child(owner: unknown, token: string, pointer: string): unknown {
  if (Array.isArray(owner) && /^(0|[1-9]\d*)$/.test(token) && Number(token) < owner.length) return owner[Number(token)];
  if (isPlain(owner) && Object.hasOwn(owner, token)) return owner[token];
  throw new Error(`nothing at ${pointer}`);
}

function get(root: Plain, pointer: string): unknown {
  const [parent, key] = parentOf(root, pointer);
  return child(parent, key, pointer);
}

function add(root: Plain, pointer: string, value: unknown): void {
  const [parent, key] = parentOf(root, pointer);
  if (!Array.isArray(parent)) {
    define(parent, key, value);
    return;
  }
  const index = key === "-" ? parent.length : /^(0|[1-9]\d*)$/.test(key) ? Number(key) : -1;
  if (index < 0 || index > parent.length) throw new Error(`no place for ${pointer}`);
  parent.splice(index, 0, value);
}

function remove(root: Plain, pointer: string): void {
  get(root, pointer);
  const [parent, key] = parentOf(root, pointer);
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
}

/** Whether a value is an object that is not a list. */
export function isPlain(value: unknown): value is Plain {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Sets an own property, whatever its name: a `__proto__` out of a file must not reach the prototype. */
export function define(object: Plain | unknown[], key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}
