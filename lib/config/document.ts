import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Document as YamlDocument,
} from "yaml";
import { type Problem, suggest } from "./problems.ts";
import type { Schema } from "./schema.ts";

/** More than any real configuration needs; a larger file is not one. */
export const MAX_CONFIG_BYTES = 1024 * 1024;
const MAX_DEPTH = 64;

/** One document of a configuration file: its values, and the line each of its paths came from. */
export class ConfigDocument {
  readonly file: string;
  readonly startLine: number;
  readonly root: Node | null;
  readonly #problems: Problem[];
  readonly #lines: LineCounter;
  readonly #lineOf = new Map<string, number>();

  constructor(file: string, root: Node | null, startLine: number, lines: LineCounter, problems: Problem[]) {
    this.#problems = problems;
    this.file = file;
    this.root = root;
    this.startLine = startLine;
    this.#lines = lines;
  }

  get apiVersion(): string | undefined {
    return this.#header("apiVersion");
  }

  get kind(): string | undefined {
    return this.#header("kind");
  }

  #header(key: string): string | undefined {
    if (!isMap(this.root)) return undefined;
    const value = this.root.get(key);
    return typeof value === "string" ? value : undefined;
  }

  /** The line of a path (`networking.podSubnet`, `bootstrapTokens[0].token`), or of its nearest parent that is there. */
  lineOf(path: string): number {
    for (let at = path; at !== ""; at = at.replace(/(\.[^.[\]]*|\[[^\]]*\]|^[^.[\]]+)$/, "")) {
      const line = this.#lineOf.get(at);
      if (line !== undefined) return line;
    }
    return this.startLine;
  }

  /** Notes a problem at a path of this document. */
  report(path: string, message: string): void {
    const prefix = this.kind ?? "document";
    this.#problems.push({
      file: this.file,
      line: this.lineOf(path),
      path: path === "" ? prefix : `${prefix}.${path}`,
      message,
    });
  }

  /** The document's values as plain data, checked against a schema; what does not fit is reported and left out. */
  read(schema: Schema): Record<string, unknown> {
    const value = this.#walk(this.root, schema, "", 0);
    return (value ?? {}) as Record<string, unknown>;
  }

  #walk(node: unknown, schema: Schema, path: string, depth: number): unknown {
    if (depth > MAX_DEPTH) return this.#reject(path, "is nested too deeply");
    if (isAlias(node)) return this.#reject(path, "is a YAML alias (*name); write the value out");
    if (node === null || node === undefined || (isScalar(node) && node.value === null)) return undefined;
    const range = (node as Node).range;
    if (range && path !== "" && !this.#lineOf.has(path)) this.#lineOf.set(path, this.#lines.linePos(range[0]).line);
    switch (schema.kind) {
      case "object":
        return this.#object(node, schema, path, depth);
      case "map":
        return this.#entries(node, path, (_key, value, at) => this.#walk(value, schema.of, at, depth + 1), "a mapping");
      case "list":
        if (!isSeq(node))
          return this.#reject(path, `must be a list (lines that begin with "- "), not ${describe(node)}`);
        return node.items
          .map((item, i) => this.#walk(item, schema.of, `${path}[${i}]`, depth + 1))
          .filter((item) => item !== undefined);
      case "any":
        return toPlain(node as Node);
      default:
        return this.#scalar(node, schema, path);
    }
  }

  #object(node: unknown, schema: Schema & { kind: "object" }, path: string, depth: number): unknown {
    const out = this.#entries(node, path, (key, value, at) => {
      const field = Object.hasOwn(schema.fields, key) ? schema.fields[key] : undefined;
      if (field) return this.#walk(value, field, at, depth + 1);
      const near = suggest(key, Object.keys(schema.fields));
      const fix = near ? `did you mean "${near}"?` : `known here: ${Object.keys(schema.fields).sort().join(", ")}`;
      return this.#reject(at, `unknown field "${key}"; ${fix}`);
    });
    for (const name of schema.required ?? []) {
      if (out && out[name] === undefined && !this.#lineOf.has(join(path, name))) {
        this.report(path, `needs the field "${name}"`);
      }
    }
    return out;
  }

  #entries(
    node: unknown,
    path: string,
    each: (key: string, value: unknown, path: string) => unknown,
    what = "an object",
  ): Record<string, unknown> | undefined {
    if (!isMap(node)) return this.#reject(path, `must be ${what} (key: value lines), not ${describe(node)}`);
    const out: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = isScalar(pair.key) ? pair.key.value : undefined;
      if (typeof key !== "string") {
        this.#reject(path, "has a key that is not a string; put quotes around it");
        continue;
      }
      const at = join(path, key);
      const start = (pair.key as Node).range?.[0];
      if (start !== undefined) this.#lineOf.set(at, this.#lines.linePos(start).line);
      const value = each(key, pair.value, at);
      if (value !== undefined)
        Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true });
    }
    return out;
  }

  #scalar(node: unknown, schema: Schema, path: string): unknown {
    const value = isScalar(node) ? node.value : undefined;
    switch (schema.kind) {
      case "string": {
        if (typeof value !== "string") {
          const fix = isScalar(node) ? `; put quotes around it: "${String(node.source ?? value)}"` : "";
          return this.#reject(path, `must be a string, not ${describe(node)}${fix}`);
        }
        const wrong = schema.check?.(value);
        return wrong === undefined ? value : this.#reject(path, `${JSON.stringify(value)} ${wrong}`);
      }
      case "bool":
        return typeof value === "boolean" ? value : this.#reject(path, `must be true or false, not ${describe(node)}`);
      case "int": {
        if (typeof value !== "number" || !Number.isInteger(value)) {
          return this.#reject(path, `must be a whole number without quotes, not ${describe(node)}`);
        }
        const { min = -(2 ** 31), max = 2 ** 31 - 1 } = schema;
        return value >= min && value <= max ? value : this.#reject(path, `${value} must be between ${min} and ${max}`);
      }
      case "number":
        return typeof value === "number" && Number.isFinite(value)
          ? value
          : this.#reject(path, `must be a number without quotes, not ${describe(node)}`);
    }
    return undefined;
  }

  #reject(path: string, message: string): undefined {
    this.report(path, message);
    return undefined;
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function describe(node: unknown): string {
  if (isMap(node)) return "a mapping";
  if (isSeq(node)) return "a list";
  if (!isScalar(node)) return "nothing";
  return `${typeof node.value === "string" ? "the string" : `the ${typeof node.value}`} ${JSON.stringify(node.value) ?? String(node.value)}`;
}

/**
 * Splits a YAML text into its documents. Syntax errors, duplicate keys, a text too large and anything but a mapping at
 * the top are problems with their line; empty documents are left out, as kubectl and kubeadm do.
 */
export function readDocuments(text: string, file: string): { documents: ConfigDocument[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const at = (line: number, message: string) => problems.push({ file, line, path: "document", message });
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    at(1, `is larger than ${MAX_CONFIG_BYTES} bytes; this is not a kubeadm configuration`);
    return { documents: [], problems };
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const control = /[\0-\b\v\f\x0e-\x1f]/.exec(text);
  if (control) {
    at(text.slice(0, control.index).split("\n").length, "holds a control character; is this a text file?");
    return { documents: [], problems };
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    uniqueKeys: true,
    prettyErrors: false,
    merge: false,
    schema: "core",
    version: "1.2",
    intAsBigInt: false,
  });
  const documents: ConfigDocument[] = [];
  for (const doc of Array.isArray(parsed) ? (parsed as YamlDocument.Parsed[]) : []) {
    for (const error of [...doc.errors, ...doc.warnings]) {
      const message = error.code === "DUPLICATE_KEY" ? "duplicate key; keep one of the two" : `YAML: ${error.message}`;
      at(lines.linePos(error.pos[0]).line, message);
    }
    if (doc.errors.length > 0 || doc.contents === null || (isScalar(doc.contents) && doc.contents.value === null))
      continue;
    const line = lines.linePos((doc.contents as Node).range?.[0] ?? 0).line;
    if (!isMap(doc.contents)) {
      at(line, `must be a mapping with apiVersion and kind, not ${describe(doc.contents)}`);
      continue;
    }
    documents.push(new ConfigDocument(file, doc.contents as Node, line, lines, problems));
  }
  return { documents, problems };
}

function toPlain(node: Node): unknown {
  if (isScalar(node)) return node.value ?? undefined;
  if (isSeq(node)) return node.items.map((item) => toPlain(item as Node));
  if (isMap(node)) return Object.fromEntries(node.items.map((p) => [String(p.key), toPlain(p.value as Node)]));
  return undefined;
}
