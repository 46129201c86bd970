import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labMembers, loadPlan, savePlan } from "../../lib/lab/plan.ts";

const PLAN = { name: "class", nodes: 4, controlPlanes: 2, subnet: "10.1.2.0/24" };

describe("a lab's plan", () => {
  test("gives every node a name, an address, a link that the kernel takes, and the control planes' common name", () => {
    const members = labMembers("/labs", PLAN);
    expect(members.map(({ name, ip, controlPlane }) => [name, ip, controlPlane])).toEqual([
      ["class-1", "10.1.2.11", true],
      ["class-2", "10.1.2.12", true],
      ["class-3", "10.1.2.13", false],
      ["class-4", "10.1.2.14", false],
    ]);
    const { spec } = members[3]!.node;
    expect(spec).toMatchObject({ address: "10.1.2.14/24", dir: "/labs/class/class-4", bridge: "ksl-class" });
    expect(spec.hosts.match(/^10\S+ class-api$/gm)).toEqual(["10.1.2.11 class-api", "10.1.2.12 class-api"]);
    const longest = labMembers("/labs", { ...PLAN, name: "a234567", nodes: 100 }).at(-1)!;
    expect(longest.node.spec.link.length).toBeLessThanOrEqual(15);
  });

  test("is read back as it was kept; what is damaged, or another lab's, is an error that names the file", () => {
    const dir = fs.mkdtempSync(join(tmpdir(), "lab-"));
    try {
      expect(loadPlan(dir, "class")).toBeUndefined();
      fs.mkdirSync(join(dir, "class"));
      savePlan(dir, PLAN);
      expect(loadPlan(dir, "class")).toEqual(PLAN);
      const file = join(dir, "class/lab.json");
      for (const text of [
        "{",
        JSON.stringify({ ...PLAN, name: "other" }),
        JSON.stringify({ ...PLAN, nodes: 1e9 }),
        "null",
      ]) {
        fs.writeFileSync(file, text);
        expect(() => loadPlan(dir, "class")).toThrow(file);
      }
    } finally {
      fs.rmSync(dir, { recursive: true });
    }
  });
});
