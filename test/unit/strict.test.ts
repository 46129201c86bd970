import { describe, expect, test } from "bun:test";
import { COMMON_ARGS } from "../../cmd/args/common.ts";
import { args, type Command, command, group } from "../../cmd/command.ts";
import { checkArgs, findCommand } from "../../cmd/strict.ts";
import { UsageError } from "../../lib/errors.ts";

const ARGS = args({
  endpoint: { type: "positional", required: false, description: "" },
  name: { type: "string", description: "", alias: "n" },
  list: { type: "string", description: "", list: true },
  force: { type: "boolean", description: "", alias: "f" },
  ...COMMON_ARGS,
});
const leaf = (name: string, more: Parameters<typeof command>[0]["args"] = {}) =>
  command({ name, description: name, args: { ...more, ...COMMON_ARGS }, examples: [], run: () => undefined });

let loaded: string[] = [];
const later = (made: Command) => () => {
  loaded.push(made.meta.name);
  return made as never;
};
const join = command({
  name: "join",
  description: "",
  args: ARGS,
  examples: [],
  subCommands: { phase: later(leaf("phase")) },
  run: () => undefined,
});
const root = group({
  name: "kubestick",
  description: "",
  args: COMMON_ARGS,
  examples: [],
  subCommands: {
    join: later(join),
    token: later(
      group({
        name: "token",
        description: "",
        args: COMMON_ARGS,
        examples: [],
        subCommands: { create: later(leaf("create")), delete: later(leaf("delete")) },
      }),
    ),
    write: later(leaf("write", { file: { type: "positional", required: true, ask: "which file?", description: "" } })),
    shell: later(leaf("shell", { node: { type: "positional", required: false, rest: true, description: "" } })),
    _hidden: later(leaf("_hidden")),
  },
});

const found = (...argv: string[]) => findCommand(root, argv);
const checked = async (...argv: string[]) => checkArgs(await found(...argv));
const refused = async (...argv: string[]) => {
  const error: unknown = await checked(...argv).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(UsageError);
  const { message, hint, exitCode, code } = error as UsageError;
  expect({ exitCode, code }).toEqual({ exitCode: 2, code: "usage" });
  return [message, hint];
};

describe("finding the command", () => {
  test("goes as far as the words go, and loads what is on the way alone", async () => {
    loaded = [];
    expect((await found("token", "create", "x")).path).toEqual(["token", "create"]);
    expect(loaded).toEqual(["token", "create"]);
    expect((await found("nonsense", "token")).path).toEqual([]);
    expect((await found("__proto__")).path).toEqual([]);
    expect((await found("constructor")).path).toEqual([]);
  });

  test("a positional stands beside subcommands, and what follows -- is neither", async () => {
    expect(await found("join", "10.0.0.1:6443")).toMatchObject({ path: ["join"], rest: ["10.0.0.1:6443"] });
    expect((await found("join", "phase")).path).toEqual(["join", "phase"]);
    expect(await found("join", "--", "phase")).toMatchObject({ path: ["join"], rest: ["--", "phase"] });
  });

  test("flags may stand between the words; a flag's value is no word", async () => {
    expect(await found("-o", "json", "token", "-v", "3", "create", "-v")).toMatchObject({
      path: ["token", "create"],
      rest: ["-o", "json", "-v", "3", "-v"],
    });
    expect(await found("join", "--name", "phase")).toMatchObject({ path: ["join"], rest: ["--name", "phase"] });
  });

  test("help is asked for anywhere before --", async () => {
    expect(await found("token", "-h", "create")).toMatchObject({ path: ["token", "create"], help: true, rest: [] });
    expect(await found("--help")).toMatchObject({ path: [], help: true });
    expect(await found("shell", "x", "--", "ls", "--help")).toMatchObject({ help: false });
  });
});

describe("checking a command line", () => {
  test("every spelling of a flag comes to one", async () => {
    for (const words of [["--name=a"], ["--name", "a"], ["-name=a"], ["-n", "a"], ["-n=a"], ["--name=a", "--name=a"]])
      expect({ words, given: [...(await checked("join", ...words)).given] }).toEqual({ words, given: [["name", "a"]] });
    expect((await checked("join", "--name=a=b", "--name", "a=b")).given.get("name")).toBe("a=b");
    expect((await checked("join", "--name", "--force")).given).toEqual(new Map([["name", "--force"]]));
    expect((await checked("join", "-f", "--force=true")).given).toEqual(new Map([["force", "true"]]));
    expect((await checked("join", "--force=false")).given).toEqual(new Map([["force", "false"]]));
  });

  test("a list is collected; anything else is given once", async () => {
    expect((await checked("join", "--list=a", "--list", "b,c", "-list=a")).given.get("list")).toBe("a,b,c,a");
    expect(await refused("join", "--name=a", "--name=b")).toEqual(["--name is given twice", "keep one of the two"]);
    expect(await refused("join", "-f", "--force=false")).toEqual(["--force is given twice", "keep one of the two"]);
  });

  test("-v counts as one, takes a number, and is no word's", async () => {
    for (const [words, v] of [
      [["-v"], "1"],
      [["-v", "4"], "4"],
      [["-v4"], "4"],
      [["--v=4"], "4"],
      [["-v=4"], "4"],
      [["--v", "x"], "1"],
    ] as const)
      expect({ words, v: (await checked("join", ...words)).given.get("v") }).toEqual({ words, v });
    expect((await checked("join", "-v", "x")).positionals).toEqual(["x"]);
  });

  test("citty gets one spelling, and positionals that nothing can take for flags", async () => {
    expect(await checked("shell", "node", "-v", "--", "ls", "-l", "--", "-v")).toMatchObject({
      rawArgs: ["--v=1", "--", "node", "ls", "-l", "--", "-v"],
      positionals: ["node", "ls", "-l", "--", "-v"],
    });
    expect((await checked("join")).rawArgs).toEqual([]);
    expect((await checked("join", "-")).positionals).toEqual(["-"]);
  });

  test("what is not known is refused, with what is near", async () => {
    expect(await refused("join", "--nam=x")).toEqual(["unknown flag: --nam", "did you mean --name?"]);
    expect(await refused("join", "--no-force")).toEqual(["unknown flag: --no-force", "--help lists the flags"]);
    expect(await refused("join", "--wholly-other")).toEqual(["unknown flag: --wholly-other", "--help lists the flags"]);
    for (const name of ["__proto__", "constructor", "endpoint"])
      expect((await refused("join", `--${name}=x`))[0]).toBe(`unknown flag: --${name}`);
    expect(await refused("tokn", "creat")).toEqual([
      'unknown command "tokn creat"',
      'did you mean "kubestick token create"?',
    ]);
    expect(await refused("token", "remove")).toEqual([
      'unknown command "token remove"',
      "kubestick token --help lists the commands",
    ]);
    expect(await refused("join", "a", "b")).toEqual(['unknown command "join a b"', 'did you mean "kubestick join"?']);
    expect(await refused("hidden")).toEqual(['unknown command "hidden"', "kubestick --help lists the commands"]);
  });

  test("what is missing is asked for", async () => {
    expect(await refused("join", "--name")).toEqual(["--name needs a value", "write --name=VALUE"]);
    expect(await refused("write")).toEqual(["which file?", "kubestick write FILE"]);
    expect(await refused("token")).toEqual(["which command?", "kubestick token --help lists them"]);
    expect((await refused("-v"))[0]).toBe("which command? there are only flags");
    expect((await checked("write", "x")).positionals).toEqual(["x"]);
  });

  test("values of fixed words are checked", async () => {
    expect((await refused("join", "--output=yaml"))[0]).toBe('--output is text or json, not "yaml"');
    expect((await refused("join", "--force=maybe"))[0]).toBe('--force is true or false, not "maybe"');
  });
});
