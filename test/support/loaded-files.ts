// Preloaded into a command: notes which files of kubestick it loads, one a line, in the file that KUBESTICK_TEST_LOADED names.
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");
const log = process.env["KUBESTICK_TEST_LOADED"]!;

Bun.plugin({
  name: "loaded files",
  setup(build) {
    build.onLoad({ filter: /\/(cmd|lib)\/.*\.ts$/ }, ({ path }) => {
      appendFileSync(log, `${path.slice(root.length + 1)}\n`);
      return { contents: readFileSync(path, "utf8"), loader: "ts" };
    });
  },
});
