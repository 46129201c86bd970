import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { basename, join } from "node:path";

/** The executables that can be built, by name, with Bun's name for the platform. */
const TARGETS: Record<string, string> = {
  "linux-amd64": "bun-linux-x64",
  "linux-arm64": "bun-linux-arm64",
};

const OUT = join(import.meta.dir, "build");

/** Builds one executable into `build/` and gives its path. */
async function build(name: string): Promise<string> {
  const outfile = join(OUT, `kubestick-${name}`);
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "cmd/main.ts")],
    minify: { whitespace: true, syntax: true },
    compile: { target: TARGETS[name] as "bun-linux-x64", outfile },
  });
  if (!result.success) throw new Error(result.logs.join("\n"));
  return outfile;
}

const own = `linux-${{ x64: "amd64" }[arch() as string] ?? arch()}`;
const wanted = process.argv.length > 2 ? process.argv.slice(2) : [own];
const unknown = wanted.find((name) => !Object.hasOwn(TARGETS, name));
if (unknown !== undefined) {
  console.error(
    `error: no such target: ${unknown}\nwhat to do: choose from ${Object.keys(TARGETS).join(", ")}; without one, this machine's is built`,
  );
  process.exit(2);
}
mkdirSync(OUT, { recursive: true });
const sums: string[] = [];
for (const name of wanted) {
  const path = await build(name);
  sums.push(`${createHash("sha256").update(readFileSync(path)).digest("hex")}  ${basename(path)}`);
  console.log(`built ${path} (${Math.round(statSync(path).size / 1024 / 1024)} MB)`);
}
writeFileSync(join(OUT, "SHA256SUMS"), `${sums.join("\n")}\n`);
