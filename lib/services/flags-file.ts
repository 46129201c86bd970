/** The flags in a shell variable of a file (`NAME="..."`), split as systemd's EnvironmentFile and a shell both would; none where there is no such variable. */
export function flagsIn(text: string, variable: string): string[] {
  const value = text.split("\n").find((line) => line.startsWith(`${variable}="`)) ?? "";
  const quoted = /^"((?:\\.|[^"\\])*)"/.exec(value.slice(variable.length + 1))?.[1] ?? "";
  return quoted
    .replace(/\\(["\\$`])/g, "$1")
    .split(/\s+/)
    .filter((flag) => flag !== "");
}
