import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { chmodSync, existsSync, readFileSync, rmSync, statSync } from "node:fs";
import { arch } from "node:os";
import { basename, join } from "node:path";
import { BUILD_DATE } from "./lib/constants/versions.ts";
import { makeDirectory } from "./lib/host/directories.ts";
import { writeWhole } from "./lib/host/new-file.ts";
import { aboutRelease, RELEASE_FILE } from "./lib/release/about.ts";
import { type PackageLock, spdx } from "./lib/release/sbom.ts";
import { formatSums, PUBLIC_KEY_FILE, SBOM_FILE, SIGNATURE_FILE, SUMS_FILE, signSums } from "./lib/release/sums.ts";
import packageJson from "./package.json";

/** The executables that can be built, by name, with Bun's name for the platform. */
const TARGETS: Record<string, Bun.Build.CompileTarget> = {
  "linux-amd64": "bun-linux-x64",
  // For processors without AVX2: older and small ones.
  "linux-amd64-baseline": "bun-linux-x64-baseline",
  "linux-amd64-musl": "bun-linux-x64-musl",
  "linux-arm64": "bun-linux-arm64",
  "linux-arm64-musl": "bun-linux-arm64-musl",
};

const OUT = join(import.meta.dir, "build");

/** Builds one executable into `build/` and gives its path. The same sources give the same bytes. */
async function build(name: string): Promise<string> {
  const outfile = join(OUT, `kubestick-${name}`);
  rmSync(outfile, { force: true });
  const result = await Bun.build({
    entrypoints: [join(import.meta.dir, "cmd/kubestick.ts")],
    minify: { whitespace: true, syntax: true },
    sourcemap: "none",
    // Two megabytes of JavaScript would be compiled anew at each start, for longer than most commands run. In pieces,
    // so that what stays resident holds its own only.
    bytecode: true,
    splitting: true,
    format: "esm",
    // A package that asks for its own file would be given the checkout's path, which must neither be told nor change a byte.
    define: { __filename: '"index.js"' },
    compile: { target: TARGETS[name]!, outfile },
  });
  if (!result.success) throw new Error(result.logs.join("\n"));
  chmodSync(outfile, 0o755);
  return outfile;
}

/** The key that signs: the one KUBESTICK_SIGNING_KEY names (a PEM file), or one made for this checkout and kept in it. */
function signingKey(): KeyObject {
  const named = process.env["KUBESTICK_SIGNING_KEY"];
  const path = named ?? join(OUT, "signing-key.pem");
  if (named === undefined && !existsSync(path)) {
    const { privateKey } = generateKeyPairSync("ed25519");
    writeWhole(path, 0o600, [Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }))]);
  }
  const key = createPrivateKey(readFileSync(path));
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`${path} is no ed25519 key`);
  return key;
}

const own = `linux-${{ x64: "amd64" }[arch() as string] ?? arch()}`;
const asked = process.argv.length > 2 ? process.argv.slice(2) : [own];
const wanted = asked.includes("all") ? Object.keys(TARGETS) : asked;
const unknown = wanted.find((name) => !Object.hasOwn(TARGETS, name));
if (unknown !== undefined) {
  console.error(
    `error: no such target: ${unknown}\nwhat to do: choose from ${Object.keys(TARGETS).join(", ")} or all; without one, this machine's is built`,
  );
  process.exit(2);
}
makeDirectory(OUT);
const write = (name: string, data: string | Buffer) => writeWhole(join(OUT, name), 0o644, [Buffer.from(data)]);
const sums = new Map<string, string>();
const sum = (path: string) => sums.set(basename(path), createHash("sha256").update(readFileSync(path)).digest("hex"));
for (const name of wanted) {
  const path = await build(name);
  sum(path);
  console.log(`built ${path} (${Math.round(statSync(path).size / 1024 / 1024)} MB)`);
}
const lock = JSON.parse(readFileSync(join(import.meta.dir, "package-lock.json"), "utf8")) as PackageLock;
const sbom = spdx(lock, { created: BUILD_DATE, license: "Apache-2.0", runtime: ["bun"] });
write(SBOM_FILE, `${JSON.stringify(sbom, null, 1)}\n`);
sum(join(OUT, SBOM_FILE));
const about = aboutRelease({ version: packageJson.version, runtime: Bun.version });
write(RELEASE_FILE, about);
sum(join(OUT, RELEASE_FILE));
const text = formatSums(sums);
const key = signingKey();
write(SUMS_FILE, text);
write(SIGNATURE_FILE, signSums(text, key));
write(PUBLIC_KEY_FILE, createPublicKey(key).export({ type: "spki", format: "pem" }));
console.log(
  `signed ${SUMS_FILE} with ${process.env["KUBESTICK_SIGNING_KEY"] ?? "this checkout's own key"}; check with: kubestick verify build`,
);
if (asked.includes("all")) console.log(`\n${about}`);
