import { define, isPlain, own, type Plain } from "../yaml/plain.ts";

/** What an object may come to, in characters and values, and its copies: a patch can double its own copies thirty times. */
export const MAX_SIZE = 1024 * 1024;
/** No object of Kubernetes comes near. */
const MAX_DEPTH = 100;

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
    else define(out, key, applyMergePatch(own(out, key), value));
  }
  return out;
}

/**
 * A JSON patch (RFC 6902) on a copy of the document. Throws Error where an operation does not fit, a test fails, or its
 * copies come to more than any object.
 */
export function applyJsonPatch(document: unknown, operations: JsonPatchOperation[]): unknown {
  const root = { "": structuredClone(document) };
  let copied = 0;
  for (const operation of operations) {
    if (!isPlain(operation)) throw new Error("an operation is no mapping with op and path");
    const { op, path, from, value } = operation;
    if (typeof path !== "string") throw new Error("an operation has no path");
    if (op === "copy") {
      const found = get(root, source(from));
      copied += size(found);
      if (copied > MAX_SIZE) throw new Error(`its copies make more than ${MAX_SIZE} characters`);
      add(root, path, structuredClone(found));
    } else if (op === "move") {
      const found = get(root, source(from));
      if (path.startsWith(`${from}/`)) throw new Error(`${from} cannot be moved into itself`);
      remove(root, source(from));
      add(root, path, found);
    } else if (op === "add") add(root, path, structuredClone(value));
    else if (op === "remove") remove(root, path);
    else if (op === "replace") {
      get(root, path);
      const [parent, key] = parentOf(root, path);
      define(parent, key, structuredClone(value));
    } else if (op === "test") {
      if (!Bun.deepEquals(get(root, path), value ?? null)) throw new Error(`test failed at ${path}`);
    } else throw new Error(`unknown operation "${op}"; known: add, remove, replace, move, copy, test`);
  }
  return root[""];
}

function source(from: unknown): string {
  if (typeof from !== "string") throw new Error("a copy or move has no from");
  return from;
}

/** How large a value is: its values, and the characters of its texts. Throws Error where it is nested too deeply. */
export function size(value: unknown, depth = 0): number {
  if (depth > MAX_DEPTH) throw new Error(`it nests an object more than ${MAX_DEPTH} levels deep`);
  if (typeof value === "string") return 1 + value.length;
  if (Array.isArray(value)) return value.reduce((sum: number, item) => sum + size(item, depth + 1), 1);
  if (!isPlain(value)) return 1;
  return Object.entries(value).reduce((sum, [key, item]) => sum + key.length + size(item, depth + 1), 1);
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
