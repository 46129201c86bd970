import { expect, test } from "bun:test";
import { tryRunAside } from "../../lib/host/process.ts";

const CLAIMS = new URL("../support/claims.ts", import.meta.url).pathname;

/** A process that claims some numbers and prints them; it goes on for a moment, so that the others meet its claims. */
const script = `const { claimNumber } = await import(${JSON.stringify(CLAIMS)});
const numbers = Array.from({ length: 5 }, () => claimNumber((index) => "/nowhere/" + index).index);
await Bun.sleep(1000);
console.log(JSON.stringify(numbers));`;

test("processes that claim at once get different numbers", async () => {
  const runs = Array.from({ length: 4 }, () => tryRunAside(process.execPath, ["-e", script]));
  const numbers = (await Promise.all(runs)).flatMap(({ stdout }) => JSON.parse(stdout) as number[]);
  expect(numbers.length).toBe(20);
  expect(new Set(numbers).size).toBe(20);
});
