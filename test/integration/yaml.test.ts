import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { run } from "../../lib/host/process.ts";
import { readYaml } from "../../lib/yaml/read.ts";
import { resolvePlain } from "../../lib/yaml/scalars.ts";
import { sortedYaml, writeYaml } from "../../lib/yaml/write.ts";
import { Random } from "../support/mutate.ts";

const work = mkdtempSync(join(tmpdir(), "kubestick-yaml-"));
afterAll(() => rmSync(work, { recursive: true }));

/** A value as Kubernetes' own reader takes it: an extension of a kubeconfig is kept whatever it holds (client-go api/v1 types.go). */
function asKubernetesReads(text: string): unknown {
  const file = join(work, "config");
  writeFileSync(file, text);
  const json = run("kubectl", ["--kubeconfig", file, "config", "view", "--raw", "-o", "json"]);
  return (JSON.parse(json) as { extensions: { extension: unknown }[] }).extensions[0]!.extension;
}

const HEAD = "apiVersion: v1\nkind: Config\nextensions:\n- name: x\n  extension:\n";

describe.skipIf(!findProgram("kubectl"))("kubectl reads", () => {
  test("unquoted scalars as we do", () => {
    const random = new Random(9);
    const alphabet = [..."0123456789_+-.eExXbBoO:yYnNfFtT~aA"];
    const words = new Set<string>();
    while (words.size < 5_000) {
      const word = Array.from({ length: 1 + random.below(7) }, () => random.pick(alphabet)).join("");
      // What is no scalar, and the numbers that JSON does not have.
      if (!/^[-?:]$|:$|\.inf$|\.nan$/i.test(word)) words.add(word);
    }
    const theirs = asKubernetesReads(`${HEAD}${[...words].map((word) => `  - ${word}\n`).join("")}`) as unknown[];
    const differ = [...words].map((word, i) => ({ word, ours: resolvePlain(word), theirs: theirs[i] }));
    expect(differ.filter(({ ours, theirs }) => ours !== theirs)).toEqual([]);
  });

  test("whatever we write as what it was", () => {
    const random = new Random(11);
    const pieces = [
      ...[
        "yes",
        "no",
        "on",
        "0b1",
        "1_000",
        "~",
        "null",
        ".5",
        "0x",
        "e3",
        "2026-01-01",
        "12:30",
        "true",
        "<<",
        "=",
        "a",
        "b c",
      ],
      ...[
        " ",
        "\t",
        "\n",
        "\r",
        ": ",
        ":",
        "- ",
        "? ",
        "#",
        " #",
        "---",
        "...",
        "'",
        '"',
        "\\",
        "[",
        "]",
        "{",
        "}",
        ",",
        "&",
        "*",
      ],
      ...[
        "!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "\u0000",
        "\u001b",
        "\u007f",
        "\u0085",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\ud83d\ude00",
        "é",
        "\uffff",
      ],
    ];
    const text = () => Array.from({ length: random.below(5) }, () => random.pick(pieces)).join("");
    const value = (depth: number): unknown => {
      const kind = random.below(depth > 3 ? 4 : 7);
      if (kind < 3) return text();
      if (kind === 3) return random.pick([null, true, false, 0, -7, 1.5, 1e21, 2 ** 31, -0.001]);
      if (kind < 5) return Array.from({ length: random.below(4) }, () => value(depth + 1));
      return Object.fromEntries(Array.from({ length: random.below(4) }, () => [text(), value(depth + 1)]));
    };
    const values = Array.from({ length: 1_500 }, () => value(0));
    const config = { apiVersion: "v1", kind: "Config", extensions: [{ name: "x", extension: values }] };
    for (const written of [writeYaml(config), sortedYaml(config)]) {
      expect(asKubernetesReads(written)).toEqual(values);
      expect(readYaml(written)).toEqual(config);
    }
  });
});
