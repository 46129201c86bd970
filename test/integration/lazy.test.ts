import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-lazy-"));
afterAll(() => fs.rmSync(dir, { recursive: true }));

/** The files of kubestick that a command line loads, in a process of its own. */
function loaded(...words: string[]): string[] {
  const log = join(dir, "loaded");
  fs.rmSync(log, { force: true });
  const [preload, entry] = ["loaded-files.ts", "../../cmd/kubestick.ts"].map((name) =>
    join(import.meta.dir, "../support", name),
  );
  const env = { ...process.env, KUBESTICK_TEST_LOADED: log };
  const { exitCode } = Bun.spawnSync([process.execPath, "--preload", preload!, entry!, ...words], { env });
  expect({ words, exitCode }).toEqual({ words, exitCode: 0 });
  return fs.readFileSync(log, "utf8").trim().split("\n");
}

test("a command loads itself and what it needs, not the others", () => {
  for (const [words, own] of [
    [["version"], "cmd/version.ts"],
    [["token", "generate"], "cmd/token/generate.ts"],
    [["completion", "bash"], "cmd/completion.ts"],
    [["__complete", "--", "token", ""], "cmd/complete.ts"],
    [["help", "air-gap"], "cmd/help.ts"],
  ] as const) {
    const files = loaded(...words);
    expect(files).toContain(own);
    const heavy = files.filter((file) =>
      /^lib\/(phases\/(init|join|reset)|commands\/(init|join|reset|tokens)|config\/(load|validate)|pki|api\/client|bundle|oci)\b/.test(
        file,
      ),
    );
    expect({ words, heavy }).toEqual({ words, heavy: [] });
  }
  // The judge itself: what sets up a node does load its phases.
  expect(loaded("init", "--help")).toContain("lib/phases/init/init.ts");
});
