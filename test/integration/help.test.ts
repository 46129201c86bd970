import { afterEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { findTopic, TOPICS } from "../../cmd/help/topics.ts";
import root from "../../cmd/root.ts";
import { checkArgs, findCommand } from "../../cmd/strict.ts";
import { formatUsage, usageOf, wrap } from "../../cmd/usage.ts";
import { ERROR_CODES } from "../../lib/constants/error-codes.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { kubestick } from "../support/kubestick.ts";
import { everyCommand, shellWords } from "../support/tree.ts";

const commands = await everyCommand();
const visible = commands.filter(({ command }) => !command.meta.hidden);
const names = new Set(TOPICS.map(({ name }) => name));

/** Whether a command line is one that kubestick takes; else why not. */
async function fault(line: string): Promise<string | undefined> {
  const words = shellWords(line.replace(/^(sudo )?(\S*\/)?kubestick\S*/, ""));
  try {
    const found = await findCommand(root, words);
    if (found.path[0] === "help") {
      const [, ...asked] = words;
      return asked.length === 0 || findTopic(asked) || (await findCommand(root, asked)).rest.length === 0
        ? undefined
        : "no topic";
    }
    if (found.help) return undefined;
    // What stands for words of a reader's own is no flag's value of fixed words.
    await checkArgs(found);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("the help of every command", () => {
  test("has two examples or more, which kubestick takes, and topics that are there", async () => {
    for (const { words, command } of visible) {
      const all = words.length === 0 || command.examples.length > 1;
      expect({ words, enough: all }).toEqual({ words, enough: true });
      for (const [, line] of command.examples) {
        const [own = line] = /(sudo )?kubestick [^>)|]*/.exec(line) ?? [];
        expect({ line, fault: await fault(own.trim()) }).toEqual({ line, fault: undefined });
      }
      for (const topic of command.topics ?? []) expect([...names]).toContain(topic);
    }
  });

  test("says what the command does, its flags, and nothing that is wider than it should be", async () => {
    for (const { words, command } of visible) {
      const usage = await usageOf(words, command);
      for (const width of [60, 100]) {
        const text = formatUsage(usage, width);
        const wide = text
          .split("\n")
          .filter(
            (line) =>
              line.length > width && line.trim().includes(" ") && !/^ {2,}(kubestick|sudo|source|--)/.test(line),
          );
        expect({ words, wide }).toEqual({ words, wide: [] });
        expect(text).toStartWith(wrap(command.meta.description, width));
        for (const [name, { type }] of Object.entries(command.args))
          if (type !== "positional") expect(text).toMatch(new RegExp(` --?${name}\\b`));
      }
    }
  });

  test("is printed with exit code 0, and as JSON", async () => {
    for (const { words } of visible) {
      const { code, stdout, stderr } = await kubestick(...words, "--help");
      expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" });
      expect(stdout).toContain("\nUsage:\n");
      const report = JSON.parse((await kubestick(...words, "--help", "-o", "json")).stdout);
      expect({ words, command: report.command, status: report.status }).toEqual({
        words,
        command: words.join(" ") || "kubestick",
        status: "done",
      });
      expect(report.result.command).toBe(["kubestick", ...words].join(" "));
    }
  });

  test("shows kubeadm's flags first, and kubestick's own apart", async () => {
    const { stdout } = await kubestick("init", "--help");
    const places = ["\nOptions:\n", " --pod-network-cidr", "\nOptions that kubeadm does not have:\n", "\n  --bundle "];
    const found = [...places, "\nOptions of every command:\n", " -o, --output"].map((text) => stdout.indexOf(text));
    expect(found.every((at) => at > 0)).toBe(true);
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    expect((await kubestick("bundle", "create", "--help")).stdout).not.toContain("kubeadm does not have");
  });
});

describe("colour", () => {
  const { isTTY } = process.stdout;
  const { NO_COLOR, TERM } = process.env;
  afterEach(() => {
    process.stdout.isTTY = isTTY;
    for (const [name, value] of Object.entries({ NO_COLOR, TERM }))
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
  });

  test("is for terminals without NO_COLOR alone", async () => {
    process.env["TERM"] = "xterm";
    delete process.env["NO_COLOR"];
    process.stdout.isTTY = true;
    expect((await kubestick("init", "--help")).stdout).toContain("\x1b[1mUsage:");
    process.env["NO_COLOR"] = "1";
    expect((await kubestick("init", "--help")).stdout).not.toContain("\x1b");
    delete process.env["NO_COLOR"];
    process.stdout.isTTY = false;
    expect((await kubestick("init", "--help")).stdout).not.toContain("\x1b");
  });
});

describe("topics", () => {
  const dir = join(import.meta.dir, "../../cmd/help");

  test("every page of the folder is one, and is listed", async () => {
    const pages = fs.readdirSync(dir).filter((name) => name.endsWith(".md"));
    expect(pages.map((name) => name.replace(".md", "")).sort()).toEqual([...names].sort());
    const { stdout } = await kubestick("help");
    for (const { name, title, text } of TOPICS) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name} +${title.replace(/[.*+?^$()|[\]\\]/g, "\\$&")}$`, "m"));
      const shown = await kubestick("help", name);
      expect(shown.code).toBe(0);
      expect(shown.stdout.endsWith(text)).toBe(true);
      expect(JSON.parse((await kubestick("help", name, "-o", "json")).stdout).result).toContainValue(text);
    }
  });

  test("a topic is named by any of its words, and a command of that name has its help before it", async () => {
    for (const [words, name] of [
      [["usb"], "usb-stick"],
      [["air", "gap"], "air-gap"],
      [["Air-Gap"], "air-gap"],
      [["kubeadm"], "differences-from-kubeadm"],
      [["high", "availability"], "high-availability"],
    ] as const)
      expect(findTopic(words)?.name).toBe(name);
    for (const words of [[], ["nonsense"], ["a", "b"], ["-"], ["from", "usb"]])
      expect(findTopic(words)).toBeUndefined();
    const both = (await kubestick("help", "reset")).stdout;
    expect(both).toContain("Usage:\n  kubestick reset");
    expect(both).toContain("# Taking kubestick off a host");
    expect((await kubestick("help", "join")).stdout).not.toContain("# What a join trusts");
    expect(await kubestick("help", "ari-gap")).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining('did you mean "kubestick help air-gap"?'),
    });
  });

  test("every command line in a page is one that kubestick takes, and every page that it names is there", async () => {
    let lines = 0;
    for (const { name, text } of TOPICS) {
      const whole = text.replace(/ *\\\n +/g, " ").replace(/(kubestick join HOST:PORT --token TOKEN)\n +/, "$1 ");
      for (const [, line = ""] of whole.matchAll(/^ {4}((?:sudo )?\S*kubestick [a-z].*?)(?: +# .*)?$/gm)) {
        lines++;
        expect({ name, line, fault: await fault(line.replace(" ...", "")) }).toEqual({ name, line, fault: undefined });
      }
      for (const [, topic = ""] of text.replaceAll(/\s+/g, " ").matchAll(/kubestick help ([a-z][a-z-]+)/g))
        expect({ name, topic, known: findTopic([topic]) !== undefined }).toEqual({ name, topic, known: true });
    }
    expect(lines).toBeGreaterThan(30);
  });

  test.skipIf(!findProgram("script"))("a page goes through the pager on a terminal, and nowhere else", () => {
    const entry = join(import.meta.dir, "../../cmd/kubestick.ts");
    const line = `'${process.execPath}' '${entry}' help usb`;
    const shown = (script: string, env: Record<string, string>) =>
      Bun.spawnSync(["sh", "-c", script], { env: { ...process.env, TERM: "xterm", ...env } }).stdout.toString();
    const onTerminal = (env: Record<string, string>) => shown(`script -qec "${line}" /dev/null </dev/null`, env);
    const first = "# Kubernetes from a USB stick";
    expect(onTerminal({ PAGER: "sed s/^/paged:/" })).toContain(`paged:${first}`);
    expect(onTerminal({ PAGER: "" })).toStartWith(first);
    expect(onTerminal({ PAGER: "no-such-pager" })).toContain(first);
    expect(shown(line, { PAGER: "sed s/^/paged:/" })).toStartWith(first);
  });

  test("pages fit a terminal", () => {
    for (const { name, text } of TOPICS)
      expect({ name, wide: text.split("\n").filter((line) => line.length > 80) }).toEqual({ name, wide: [] });
  });

  test("the page on output names every code, with what it means", () => {
    const page = TOPICS.find(({ name }) => name === "output")!.text.replaceAll(/\s+/g, " ");
    for (const [code, what] of Object.entries(ERROR_CODES)) expect(page).toContain(` ${code} ${what}`);
  });
});
