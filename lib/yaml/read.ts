import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  Parser,
  type YAMLMap,
} from "yaml";
import { define } from "./plain.ts";
import { resolvePlain, type ScalarValue } from "./scalars.ts";

export { isMap, isScalar, isSeq, type Node, type YAMLMap };

/** Nesting that no Kubernetes object comes near: an OpenAPI schema in a CustomResourceDefinition has some forty levels. */
const MAX_DEPTH = 200;
/** Words, indicators and line ends of one document: far more than any configuration has, and some 20 MB of memory. */
const MAX_LEXEMES = 100_000;
const MAX_DOCUMENTS = 1_000;
/** Values of one document, aliases counted each time they stand for something. */
const MAX_VALUES = 100_000;

/** A text that is no YAML which Kubernetes reads, or too much of it: the line, and why. */
export class YamlError extends Error {
  override name = "YamlError";

  constructor(
    message: string,
    readonly line: number,
  ) {
    super(message);
  }
}

/** Something that is wrong with a YAML text, and where. */
export interface YamlProblem {
  line: number;
  message: string;
}

/** One document: its nodes, without values of their own until they are asked for. */
export class YamlDocument {
  readonly root: Node | null;
  /** Syntax errors, and aliases of nothing. */
  readonly problems: YamlProblem[];
  readonly #lines: LineCounter;
  readonly #targets = new Map<Node, Node>();
  #values = 0;

  constructor(document: Document.Parsed, lines: LineCounter) {
    this.root = document.contents as Node | null;
    this.#lines = lines;
    this.problems = document.errors.map((error) => ({ line: this.#lineAt(error.pos[0]), message: error.message }));
    if (this.problems.length === 0 && this.root) this.#findTargets(this.root, new Map());
  }

  /** The line that a node begins on; 1 for one that is nowhere. */
  line(node: unknown): number {
    const start = (node as Node | null | undefined)?.range?.[0];
    return start === undefined ? 1 : this.#lineAt(start);
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }

  /** An alias is what the last anchor of its name before it names. */
  #findTargets(node: unknown, anchors: Map<string, Node>): void {
    if (isAlias(node)) {
      const target = anchors.get(node.source);
      if (target) this.#targets.set(node, target);
      else
        this.problems.push({
          line: this.line(node),
          message: `nothing is named &${node.source} before *${node.source}`,
        });
      return;
    }
    const { anchor } = (node ?? {}) as { anchor?: string };
    if (anchor) anchors.set(anchor, node as Node);
    if (isSeq(node)) for (const item of node.items) this.#findTargets(item, anchors);
    else if (isMap(node)) {
      for (const { key, value } of node.items) {
        this.#findTargets(key, anchors);
        this.#findTargets(value, anchors);
      }
    }
  }

  /**
   * A node, or what it is an alias of. Throws YamlError once more values have been asked for than a document may have:
   * a few aliases of aliases can stand for millions.
   */
  follow(node: unknown): Node | null {
    if (++this.#values > MAX_VALUES)
      throw new YamlError(`its aliases (*name) stand for more than ${MAX_VALUES} values`, this.line(node));
    return (isAlias(node) ? this.#targets.get(node)! : (node as Node | null)) ?? null;
  }

  /** The value of a scalar. Throws YamlError where its tag (`!!int`) does not fit it, or Kubernetes has no such values. */
  scalar(node: Node): ScalarValue {
    if (!isScalar(node)) return null;
    const text = String(node.value ?? "");
    const tag = /^tag:yaml\.org,2002:(.*)$/.exec(node.tag ?? "")?.[1];
    if (tag === "str" || (tag === undefined && (node.type !== "PLAIN" || node.tag !== undefined))) return text;
    const value = resolvePlain(text);
    const kind = value === null ? "null" : { boolean: "bool", number: "number", string: "str" }[typeof value as string];
    const fits =
      tag === undefined ||
      tag === kind ||
      (kind === "number" && (tag === "float" || Number.isInteger(value)) && /^(int|float)$/.test(tag));
    if (!fits) throw new YamlError(`${JSON.stringify(text)} is no !!${tag}`, this.line(node));
    return value;
  }

  /** The entries of a mapping, those that `<<` merges into it after its own; keys as nodes. Throws YamlError as follow does. */
  *entries(node: YAMLMap, depth = 0): Generator<{ key: unknown; value: unknown; merged: boolean }> {
    if (depth > MAX_DEPTH) throw new YamlError(TOO_DEEP, this.line(node));
    const sources: unknown[] = [];
    for (const { key, value } of node.items) {
      if (isScalar(key) && key.value === "<<" && key.type === "PLAIN") sources.push(value);
      else yield { key, value, merged: depth > 0 };
    }
    for (const source of sources) {
      const from = this.follow(source);
      for (const one of isSeq(from) ? from.items : [source]) {
        const map = this.follow(one);
        if (!isMap(map)) throw new YamlError("<<: takes a mapping, or a list of them", this.line(one));
        yield* this.entries(map, depth + 1);
      }
    }
  }

  /** The text of a mapping's key as JSON has it. Throws YamlError for one that is null, a list or a mapping. */
  key(node: unknown): string {
    const key = this.follow(node);
    const value = isScalar(key) ? this.scalar(key) : null;
    if (value === null) throw new YamlError("a mapping has a key that is no string", this.line(key));
    return String(value);
  }

  /** The whole document, or a part of it, as plain data. Throws YamlError as the others do, and for a key given twice. */
  toPlain(from: unknown = this.root, depth = 0): unknown {
    if (depth > MAX_DEPTH) throw new YamlError(TOO_DEEP, this.line(from));
    const node = this.follow(from);
    if (isSeq(node)) return node.items.map((item) => this.toPlain(item, depth + 1));
    if (isMap(node)) {
      const out: Record<string, unknown> = {};
      for (const { key, value, merged } of this.entries(node)) {
        const name = this.key(key);
        const plain = this.toPlain(value, depth + 1);
        if (!Object.hasOwn(out, name)) define(out, name, plain);
        else if (!merged) throw new YamlError(`the key ${JSON.stringify(name)} is given twice`, this.line(key));
      }
      return out;
    }
    if (node === null) return null;
    const value = this.scalar(node);
    if (typeof value === "number" && !Number.isFinite(value))
      throw new YamlError(`${value} is no number that Kubernetes has`, this.line(node));
    return value;
  }
}

const TOO_DEEP = `it is nested more than ${MAX_DEPTH} levels deep`;

/** Characters that no YAML text holds (go-yaml v2 readerc.go). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\0-\x08\v\f\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]/;
/** Ends of lines to a reader of YAML 1.1, Kubernetes' among them, and to no other (YAML 1.1 §4.2). */
const OTHER_BREAK = /[\x85\u2028\u2029]/;

function refuseCharacters(text: string): void {
  for (const [pattern, why] of [
    [CONTROL, () => "is a control character; is this a text file?"],
    [OTHER_BREAK, (code: string) => `ends a line for Kubernetes only; write it as "\\u${code}", in double quotes`],
  ] as const) {
    const match = pattern.exec(text);
    if (!match) continue;
    const code = match[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
    throw new YamlError(`the character U+${code} ${why(code)}`, text.slice(0, match.index).split("\n").length);
  }
}

/**
 * The documents of a YAML text as Kubernetes reads it, one after the other, so that only one is in memory. Errors are
 * noted in each; throws YamlError where the text cannot be read on: characters that YAML does not have, a document
 * larger or deeper than any real one.
 */
export function* yamlDocuments(text: string, maxLexemes = MAX_LEXEMES): Generator<YamlDocument> {
  refuseCharacters(text);
  const lines = new LineCounter();
  // Every scalar as text: what it stands for is Kubernetes' to say, not YAML 1.2's.
  const composer = new Composer({
    schema: "failsafe",
    resolveKnownTags: false,
    uniqueKeys: false,
    prettyErrors: false,
    merge: false,
    lineCounter: lines,
  });
  for (const document of composer.compose(boundedTokens(text, lines, maxLexemes)))
    if (document.contents !== null || document.errors.length > 0) yield new YamlDocument(document, lines);
  // What stands in no document.
  const [error] = composer.streamInfo().errors;
  if (error) throw new YamlError(error.message, Math.max(1, lines.linePos(error.pos[0]).line));
}

/**
 * The first document of a YAML text as plain data; undefined where there is none. Throws YamlError where it is no YAML,
 * or too much of it.
 */
export function readYaml(text: string): unknown {
  for (const value of readYamlDocuments(text)) return value;
  return undefined;
}

/** Every document of a YAML text as plain data, empty ones left out. Throws YamlError as readYaml. */
export function* readYamlDocuments(text: string, maxLexemes?: number): Generator<unknown> {
  for (const document of yamlDocuments(text, maxLexemes)) {
    const [problem] = document.problems;
    if (problem) throw new YamlError(problem.message, problem.line);
    const value = document.toPlain();
    if (value !== null) yield value;
  }
}

/** The text of a YAML file, which is UTF-8, or UTF-16 with a byte order mark. Throws YamlError for any other bytes. */
export function yamlText(bytes: Buffer): string {
  const mark = bytes.subarray(0, 2).toString("hex");
  const encoding = mark === "fffe" ? "utf-16le" : mark === "feff" ? "utf-16be" : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new YamlError(`it is no text in ${encoding.toUpperCase()}`, 1);
  }
}

function* boundedTokens(text: string, lines: LineCounter, maxLexemes: number) {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  let [lexemes, documents, at] = [0, 0, 0];
  const refuse = (why: string) => new YamlError(why, Math.max(1, lines.linePos(at).line));
  for (const lexeme of new Lexer().lex(text)) {
    for (const token of parser.next(lexeme)) {
      if (token.type === "document") {
        lexemes = 0;
        documents++;
      }
      yield token;
    }
    at = parser.offset;
    // A block of text is one lexeme, but each of its lines is looked at.
    lexemes += lexeme.length < 2 ? 1 : lexeme.split("\n").length;
    if (parser.stack.length > MAX_DEPTH) throw refuse(TOO_DEEP);
    if (lexemes > maxLexemes) throw refuse("it holds more values than any Kubernetes object");
    if (documents > MAX_DOCUMENTS) throw refuse(`it holds more than ${MAX_DOCUMENTS} documents`);
  }
  yield* parser.end();
}
