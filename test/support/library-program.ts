import * as fs from "node:fs";
import { createToken, deleteTokens, init, join, listTokens, reset } from "kubestick";

/**
 * A program that sets nodes up with kubestick as a library: `bun library-program.ts WHAT INPUT REPORT`. What it did goes
 * into a file; whatever is on its standard output came from the library.
 */
const [, , what = "", input = "", report = ""] = process.argv;
const config = fs.existsSync(input) ? fs.readFileSync(input, "utf8") : "";
const ignorePreflightErrors = (process.env["IGNORED"] ?? "").split(",").filter(Boolean);

const DEEDS: Record<string, () => Promise<unknown>> = {
  init: async () => {
    const made = await init({ config, ignorePreflightErrors });
    const token = await createToken({ ttl: "1h0m0s", description: "made by a program", singleUse: true });
    return { made, token, tokens: await listTokens() };
  },
  join: () => join({ config, ignorePreflightErrors }),
  "dry run": () => init({ config, ignorePreflightErrors, dryRun: true }),
  "delete tokens": async () => ({ deleted: await deleteTokens([config.trim()]) }),
  "reset without a word": () => reset().catch((error: Error) => ({ refused: error.message })),
  reset: () => reset({ force: true }),
};
fs.writeFileSync(report, JSON.stringify(await DEEDS[what]!()));
