import { expect, test } from "bun:test";
import { inParallel } from "../../lib/util/pool.ts";

test("a pool does all jobs, and stops at the first failure", async () => {
  const done: number[] = [];
  await inParallel([1, 2, 3, 4, 5], 2, async (n) => void done.push(n));
  expect(done.sort()).toEqual([1, 2, 3, 4, 5]);
  const begun: number[] = [];
  const failing = inParallel([1, 2, 3, 4, 5, 6], 2, async (n) => {
    begun.push(n);
    await Bun.sleep(1);
    if (n === 2) throw new Error("two");
  });
  await expect(failing).rejects.toThrow("two");
  expect(begun.length).toBeLessThan(6);
});
