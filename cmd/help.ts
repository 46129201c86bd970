import { spawnSync } from "node:child_process";
import { UsageError } from "../lib/errors.ts";
import { findProgram } from "../lib/host/facts.ts";
import { printText, takesColor } from "../lib/ui/ui.ts";
import { suggest } from "../lib/util/suggest.ts";
import { COMMON_ARGS } from "./args/common.ts";
import { type Candidate, command } from "./command.ts";
import { findTopic, TOPICS, type Topic } from "./help/topics.ts";
import type { Output } from "./output.ts";
import root from "./root.ts";
import { type Found, findCommand, tokenize, unknownCommand } from "./strict.ts";
import { formatUsage, helpWidth, usageOf } from "./usage.ts";

export default command({
  name: "help",
  description: "Show the help of a command, or a page about a topic",
  synopsis: "[COMMAND... | TOPIC]",
  args: {
    word: {
      type: "positional",
      required: false,
      rest: true,
      description: "A command's words, or a topic's name.",
      completes: helpWords,
    },
    ...COMMON_ARGS,
  },
  examples: [
    ["The commands and the topics", "kubestick help"],
    ["What a command does, and its flags", "kubestick help token create"],
    ["A page about a topic", "kubestick help air-gap"],
  ],
  run: async ({ args, out }) => {
    const words = args._;
    const found = await findCommand(root, words);
    const topic = findTopic(words);
    // `reset` is both a command and a topic.
    const page = topic?.name === words.join("-") ? topic : undefined;
    if (found.rest.length === 0) await showHelp(found, out, page);
    else if (topic) showTopic(topic, out);
    else throw unknown(words);
  },
});

/** Shows what a command does; with a topic its page too. Throws UsageError where the words go on, and name no command. */
export async function showHelp(found: Found, out: Output, topic?: Topic): Promise<void> {
  const { command, path, rest } = found;
  const words = [...tokenize(rest, command.args)].flatMap((token) => (token.kind === "word" ? token.word : []));
  if (words.length > 0 && !command.run) throw await unknownCommand(found, words);
  const usage = await usageOf(path, command);
  const topics = path.length === 0 ? TOPICS.map(({ name, title }) => ({ name, about: title })) : [];
  out.report({ ...usage, topics: [...topics.map(({ name }) => name), ...usage.topics], page: topic?.text });
  if (out.json) return;
  const text = formatUsage(usage, helpWidth(process.stdout), topics);
  const all = topic ? `${text}\n\n${topic.text.trimEnd()}` : text;
  // Help in colour is all our own; printText would show its colours as text.
  if (takesColor(process.stdout)) process.stdout.write(`${all}\n`);
  else printText(all);
}

function showTopic({ name, title, text }: Topic, out: Output): void {
  out.report({ topic: name, title, text });
  if (!out.json) page(text.trimEnd());
}

/** Shows a long text: through a pager on a terminal, else as it is. */
function page(text: string): void {
  const pager = process.env["PAGER"] ?? ["less", "more"].find((name) => findProgram(name));
  if (process.stdout.isTTY && pager) {
    // As git does: no pager for what fits the screen, colours as they are, and the text stays when it ends.
    const env = { ...process.env, LESS: process.env["LESS"] ?? "FRX" };
    const { status } = spawnSync("sh", ["-c", pager], {
      input: `${text}\n`,
      stdio: ["pipe", "inherit", "inherit"],
      env,
    });
    if (status === 0) return;
  }
  printText(text);
}

function unknown(words: string[]): UsageError {
  const typed = words.join(" ");
  const near = suggest(typed.replaceAll(" ", "-"), [
    ...Object.keys(root.subCommands ?? {}).filter((name) => !name.startsWith("_")),
    ...TOPICS.map(({ name }) => name),
  ]);
  return new UsageError(
    `there is no command or topic "${typed}"`,
    near ? `did you mean "kubestick help ${near}"?` : "kubestick help lists them",
  );
}

function helpWords(): Candidate[] {
  const commands = Object.keys(root.subCommands ?? {}).filter((name) => !name.startsWith("_"));
  return [...commands.map((value) => ({ value })), ...TOPICS.map(({ name, title }) => ({ value: name, about: title }))];
}
