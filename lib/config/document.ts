import { suggest } from "../util/suggest.ts";
import { define, own, type Plain } from "../yaml/plain.ts";
import { isMap, isScalar, isSeq, type Node, type YamlDocument, YamlError, yamlDocuments } from "../yaml/read.ts";
import type { Problem } from "./problems.ts";
import type { Given, ObjectSchema, Schema } from "./schema.ts";

/** More than any real configuration needs; a larger file is not one. */
export const MAX_CONFIG_BYTES = 256 * 1024;
const MAX_DEPTH = 64;
/** No argument or variable of a program can be longer (execve(2), MAX_ARG_STRLEN). */
const MAX_STRING = 128 * 1024;
/** How much of a key stands in a path, which each of its values has anew. */
const MAX_NAME = 100;

/** One document of a configuration file: its values, and the line each of its paths came from. */
export class ConfigDocument {
  readonly file: string;
  readonly startLine: number;
  readonly #yaml: YamlDocument;
  readonly #problems: Problem[];
  readonly #lineOf = new Map<string, number>();
  readonly #headers: Record<string, string>;

  constructor(file: string, yaml: YamlDocument, problems: Problem[]) {
    this.file = file;
    this.#yaml = yaml;
    this.#problems = problems;
    this.startLine = yaml.line(yaml.root);
    this.#headers = this.#readHeaders();
  }

  get apiVersion(): string | undefined {
    return own(this.#headers, "apiVersion");
  }

  get kind(): string | undefined {
    return own(this.#headers, "kind");
  }

  /** What says how the document is to be read. */
  #readHeaders(): Record<string, string> {
    const headers: Record<string, string> = {};
    if (!isMap(this.#yaml.root)) return headers;
    for (const { key, value } of this.#yaml.entries(this.#yaml.root)) {
      const name = isScalar(key) ? key.value : undefined;
      const node = this.#yaml.follow(value);
      if ((name !== "apiVersion" && name !== "kind") || !isScalar(node)) continue;
      const text = this.#yaml.scalar(node);
      if (typeof text === "string") headers[name] = text;
    }
    return headers;
  }

  /** The line of a path (`networking.podSubnet`, `bootstrapTokens[0].token`), or of its nearest parent that is there. */
  lineOf(path: string): number {
    for (let at = path; at !== ""; at = at.replace(/(\.[^.[\]]*|\[[^\]]*\]|^[^.[\]]+)$/, "")) {
      const line = this.#lineOf.get(at);
      if (line !== undefined) return line;
    }
    return this.startLine;
  }

  /** The paths at which the document says something, of those that a path with `[]` for every item of a list means. */
  pathsLike(path: string): string[] {
    return [...this.#lineOf.keys()].filter((at) => at.replace(/\[\d+\]/g, "[]") === path);
  }

  /** Notes a problem at a path of this document. */
  report(path: string, message: string): void {
    this.#reportAt(this.lineOf(path), path, message);
  }

  #reportAt(line: number, path: string, message: string): void {
    const prefix = this.kind ?? "document";
    this.#problems.push({ file: this.file, line, path: path === "" ? prefix : `${prefix}.${path}`, message });
  }

  /** The document's values as plain data, checked against a schema; what does not fit is reported and left out. */
  read<T>(schema: ObjectSchema<T>): Given<T> & Plain {
    try {
      return (this.#walk(this.#yaml.root, schema, "", 0) ?? {}) as Given<T> & Plain;
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      this.#reportAt(error.line, "", error.message);
      return {} as Given<T> & Plain;
    }
  }

  #walk(from: unknown, schema: Schema, path: string, depth: number): unknown {
    if (depth > MAX_DEPTH) return this.#reject(path, "is nested too deeply");
    const node = this.#yaml.follow(from);
    if (node === null || (isScalar(node) && this.#yaml.scalar(node) === null)) return undefined;
    if (path !== "" && !this.#lineOf.has(path)) this.#lineOf.set(path, this.#yaml.line(from));
    switch (schema.kind) {
      case "object":
        return this.#object(node, schema, path, depth);
      case "map":
        return this.#entries(node, path, (_key, value, at) => this.#walk(value, schema.of, at, depth + 1), "a mapping");
      case "list":
        if (!isSeq(node))
          return this.#reject(path, `must be a list (lines that begin with "- "), not ${this.#describe(node)}`);
        return node.items
          .map((item, i) => this.#walk(item, schema.of, `${path}[${i}]`, depth + 1))
          .filter((item) => item !== undefined);
      case "any":
        return this.#yaml.toPlain(node, depth);
      default:
        return this.#scalar(node, schema, path);
    }
  }

  #object(node: Node, schema: Schema & { kind: "object" }, path: string, depth: number): unknown {
    const out = this.#entries(node, path, (key, value, at) => {
      const field = own(schema.fields, key);
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
    node: Node,
    path: string,
    each: (key: string, value: unknown, path: string) => unknown,
    what = "an object",
  ): Record<string, unknown> | undefined {
    if (!isMap(node)) return this.#reject(path, `must be ${what} (key: value lines), not ${this.#describe(node)}`);
    const out: Record<string, unknown> = {};
    const seen = new Set<string>();
    for (const { key: keyNode, value, merged } of this.#yaml.entries(node)) {
      const followed = this.#yaml.follow(keyNode);
      const key = isScalar(followed) ? this.#yaml.scalar(followed) : undefined;
      if (typeof key !== "string") {
        this.#reportAt(this.#yaml.line(keyNode), path, "has a key that is not a string; put quotes around it");
        continue;
      }
      const at = join(path, key.slice(0, MAX_NAME));
      if (seen.has(key)) {
        if (!merged) this.#reportAt(this.#yaml.line(keyNode), at, "duplicate key; keep one of the two");
        continue;
      }
      seen.add(key);
      this.#lineOf.set(at, this.#yaml.line(keyNode));
      const plain = each(key, value, at);
      if (plain !== undefined) define(out, key, plain);
    }
    return out;
  }

  #scalar(node: Node, schema: Schema, path: string): unknown {
    const value = isScalar(node) ? this.#yaml.scalar(node) : undefined;
    switch (schema.kind) {
      case "string": {
        if (typeof value !== "string") {
          const fix = isScalar(node) ? `; put quotes around it: "${node.value}"` : "";
          return this.#reject(path, `must be a string, not ${this.#describe(node)}${fix}`);
        }
        if (value === schema.unset) return undefined;
        if (value.length > MAX_STRING) return this.#reject(path, `is longer than ${MAX_STRING} characters`);
        const wrong = schema.check?.(value);
        return wrong === undefined ? value : this.#reject(path, `${JSON.stringify(value)} ${wrong}`);
      }
      case "bool":
        return typeof value === "boolean"
          ? value
          : this.#reject(path, `must be true or false, not ${this.#describe(node)}`);
      case "int": {
        if (typeof value !== "number" || !Number.isInteger(value)) {
          return this.#reject(path, `must be a whole number without quotes, not ${this.#describe(node)}`);
        }
        if (value === schema.unset) return undefined;
        const { min = -(2 ** 31), max = 2 ** 31 - 1 } = schema;
        return value >= min && value <= max ? value : this.#reject(path, `${value} must be between ${min} and ${max}`);
      }
      case "number":
        return typeof value === "number" && Number.isFinite(value)
          ? value
          : this.#reject(path, `must be a number without quotes, not ${this.#describe(node)}`);
    }
    return undefined;
  }

  #reject(path: string, message: string): undefined {
    this.report(path, message);
    return undefined;
  }

  #describe(node: Node): string {
    return describe(node, isScalar(node) ? this.#yaml.scalar(node) : undefined);
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function describe(node: Node, value: unknown): string {
  if (isMap(node)) return "a mapping";
  if (isSeq(node)) return "a list";
  if (typeof value === "string") return `the string ${JSON.stringify(value)}`;
  const written = String((node as { value?: unknown }).value);
  // `yes` is a boolean to Kubernetes, which is not for everybody to know.
  return `the ${typeof value} ${value}${written === String(value) ? "" : ` (${written})`}`;
}

/**
 * Splits a YAML text into its documents. Syntax errors, a text too large and anything but a mapping at the top are
 * problems with their line; empty documents are left out, as kubectl and kubeadm do.
 */
export function readDocuments(
  text: string,
  file: string,
  maxBytes = MAX_CONFIG_BYTES,
): { documents: ConfigDocument[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const documents: ConfigDocument[] = [];
  const at = (line: number, message: string) => problems.push({ file, line, path: "document", message });
  if (Buffer.byteLength(text) > maxBytes) {
    at(1, `is larger than ${maxBytes / 1024} KiB`);
    return { documents, problems };
  }
  try {
    for (const yaml of yamlDocuments(text)) {
      for (const { line, message } of yaml.problems) at(line, `YAML: ${message}`);
      const { root } = yaml;
      if (yaml.problems.length > 0 || root === null || (isScalar(root) && yaml.scalar(root) === null)) continue;
      if (isMap(root)) documents.push(new ConfigDocument(file, yaml, problems));
      else
        at(
          yaml.line(root),
          `must be a mapping with apiVersion and kind, not ${describe(root, isScalar(root) ? yaml.scalar(root) : undefined)}`,
        );
    }
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    at(error.line, `YAML: ${error.message}`);
  }
  return { documents, problems };
}
