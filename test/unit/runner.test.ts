import { describe, expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import { findPhase, flatten, type Phase, type PhaseResult, runPhases, skipList } from "../../lib/phases/runner.ts";
import { silentUi } from "../support/ui.ts";

describe("the phase runner", () => {
  const ran: string[] = [];
  const phase = (name: string, children?: Phase<null>[], fails = false): Phase<null> => ({
    name,
    short: name,
    children,
    run: () => {
      ran.push(name);
      if (fails) throw new KubestickError(`${name} failed`);
    },
  });
  const phases = [phase("one", [phase("a"), phase("b")]), phase("two"), phase("three", undefined, true), phase("four")];

  test("order, skipping and the report of a failure", async () => {
    ran.length = 0;
    const results: PhaseResult[] = [];
    const run = runPhases(
      flatten(phases).filter((p) => p.depth === 0),
      null,
      { skip: skipList(phases, ["one/a"]), ui: silentUi(), results },
    );
    await expect(run).rejects.toThrow("three failed");
    expect(ran).toEqual(["one", "b", "two", "three"]);
    expect(results.map((r) => `${r.phase} ${r.status}`)).toEqual([
      "one/a skipped",
      "one/b done",
      "one done",
      "two done",
      "three failed",
    ]);
  });

  test("names: words, slashes and all", () => {
    for (const words of [["one", "b"], ["one/b"]]) expect(findPhase(phases, words).path).toBe("one/b");
    expect(findPhase(phases, ["one", "all"]).path).toBe("one");
    expect(() => findPhase(phases, ["tow"])).toThrow("unknown phase");
    expect(() => skipList(phases, ["one/c"])).toThrow("unknown phase");
  });
});
