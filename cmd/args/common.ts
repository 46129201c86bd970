import { args, type Given } from "../command.ts";

/** The flags that every command takes. */
export const COMMON_ARGS = args({
  output: {
    type: "enum",
    options: ["text", "json"],
    description: "Output format: text or json.",
    default: "text",
    alias: "o",
    besideConfig: true,
  },
  v: {
    type: "string",
    description: "Number for the log level verbosity.",
    valueHint: "level",
    bare: "1",
    besideConfig: true,
  },
});

/** A list flag's values; empty ones are left out. */
export function list(value: string | undefined): string[] {
  return (value ?? "")
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/** As `list`, of a flag as it was given. */
export const listValue = (given: Given, name: string): string[] => list(given.get(name));
