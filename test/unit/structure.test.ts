import { expect, test } from "bun:test";
import * as fs from "node:fs";
import { dirname, join, normalize } from "node:path";

const ROOT = join(import.meta.dir, "../..");
const LONGEST_FILE = 400;

const sources = ["lib", "cmd"].flatMap((dir) =>
  fs
    .readdirSync(join(ROOT, dir), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map((name) => join(dir, name)),
);
const text = new Map(sources.map((file) => [file, fs.readFileSync(join(ROOT, file), "utf8")]));

/** The files of the project that a file imports when it is loaded; what it loads later, or takes types of, counts too. */
const importsOf = (file: string): string[] =>
  [...text.get(file)!.matchAll(/(?:from|import\()\s*"(\.[^"]+\.ts)"/g)].map((m) =>
    normalize(join(dirname(file), m[1]!)),
  );

/** One circle of a graph as the names along it; none where there is none. */
function circle(graph: Map<string, string[]>): string[] {
  const done = new Set<string>();
  const walk = (at: string, path: string[]): string[] => {
    const before = path.indexOf(at);
    if (before !== -1) return [...path.slice(before), at];
    if (done.has(at)) return [];
    for (const next of graph.get(at) ?? []) {
      const found = walk(next, [...path, at]);
      if (found.length > 0) return found;
    }
    done.add(at);
    return [];
  };
  for (const start of graph.keys()) {
    const found = walk(start, []);
    if (found.length > 0) return found;
  }
  return [];
}

/** `lib/oci` of `lib/oci/tar.ts`; a file of `lib` itself stands for itself, and `cmd` is one folder. */
const folderOf = (file: string) => (file.startsWith("cmd/") ? "cmd" : file.split("/").slice(0, 2).join("/"));

test("no file imports itself by way of others", () => {
  const eager = new Map(
    sources.map((file) => [
      file,
      [...text.get(file)!.matchAll(/from\s*"(\.[^"]+\.ts)"/g)].map((m) => normalize(join(dirname(file), m[1]!))),
    ]),
  );
  expect(circle(eager)).toEqual([]);
  expect(
    circle(
      new Map([
        ["a", ["b"]],
        ["b", ["c"]],
        ["c", ["b"]],
      ]),
    ),
  ).toEqual(["b", "c", "b"]);
});

test("folders of lib depend on each other one way, and none on cmd", () => {
  const folders = new Map<string, string[]>();
  for (const file of sources) {
    const others = importsOf(file)
      .map(folderOf)
      .filter((folder) => folder !== folderOf(file));
    folders.set(folderOf(file), [...(folders.get(folderOf(file)) ?? []), ...others]);
  }
  expect(circle(folders)).toEqual([]);
  expect([...folders].filter(([folder, others]) => folder !== "cmd" && others.includes("cmd"))).toEqual([]);
});

test("no phase asks whether it is a dry run", () => {
  const asking = sources.filter((file) => file.startsWith("lib/phases/") && text.get(file)!.includes("dryRun"));
  expect(asking).toEqual([]);
});

test("every file is short enough to be read in one go", () => {
  const lines = (file: string) => text.get(file)!.split("\n").length - 1;
  expect(sources.filter((file) => lines(file) > LONGEST_FILE)).toEqual([]);
});

test("everything that is exported says what it is", () => {
  const exported =
    /^export (?:default )?(?:async )?(?:abstract )?(?:function\*?|const|let|class|interface|type|enum) \w/;
  const silent = sources.flatMap((file) => {
    const lines = text.get(file)!.split("\n");
    return lines.flatMap((line, i) => {
      // Constants that follow each other share the comment of the first.
      let above = i - 1;
      while (above >= 0 && exported.test(line) && /^export const .*;$/.test(lines[above]!)) above--;
      return exported.test(line) && !lines[above]?.trim().endsWith("*/") ? [`${file}:${i + 1}: ${line}`] : [];
    });
  });
  expect(silent).toEqual([]);
});
