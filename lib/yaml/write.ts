import { type ScalarTag, stringify, type Tags } from "yaml";
import { stringifyString } from "yaml/util";
import { looksTyped } from "./scalars.ts";

/** Characters that a reader of YAML 1.1 refuses, skips or takes for the end of a line unless they are escaped (§5.1, §4.2). */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  /[\0-\x08\v-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

/** Lines that a block cannot hold as they are: white space at an end of it or of a line, or several line ends at its end. */
const NO_BLOCK = /^\s|[ \t]\n|[ \t]$|\n\n$/;

/** A string in double quotes on one line, every unprintable character escaped: JSON, which YAML 1.1 reads alike. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(UNPRINTABLE, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const STRING = "tag:yaml.org,2002:str";

const writeString: ScalarTag["stringify"] = (item, ctx, onComment, onChompKeep) => {
  const text = String(item.value);
  const asItIs = text.includes("\n")
    ? !NO_BLOCK.test(text) && !ctx.implicitKey
    : !looksTyped(text) && !/^(---|\.\.\.)/.test(text);
  return asItIs && text.search(UNPRINTABLE) === -1
    ? stringifyString({ ...item, value: text }, ctx, onComment, onChompKeep)
    : quoted(text);
};

/**
 * A value as YAML that Kubernetes reads back as it is, whatever its strings hold (sigs.k8s.io/yaml, which is YAML 1.1);
 * in the style of Kubernetes' own tools: lists not indented, long lines left long.
 */
export function writeYaml(value: unknown, options: { sorted?: boolean } = {}): string {
  return stringify(value, {
    lineWidth: 0,
    indentSeq: false,
    aliasDuplicateObjects: false,
    sortMapEntries: options.sorted ?? false,
    customTags: (tags) =>
      tags.map((tag) =>
        typeof tag === "object" && tag.tag === STRING ? { ...tag, stringify: writeString } : tag,
      ) as Tags,
  });
}

/** As writeYaml, keys in the order of their names: static pods, component configurations and lock files. */
export const sortedYaml = (value: unknown): string => writeYaml(value, { sorted: true });
