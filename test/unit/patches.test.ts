import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { applyJsonPatch, applyMergePatch } from "../../lib/manifests/patch-json.ts";
import { applyStrategicPatch } from "../../lib/manifests/patch-strategic.ts";
import { applyPatches, readPatches } from "../../lib/manifests/patches.ts";

const pod = () => ({
  metadata: { name: "p", labels: { a: "1" } },
  spec: {
    containers: [
      { name: "one", command: ["one", "--x"], env: [{ name: "A", value: "1" }] },
      { name: "two", image: "two:1" },
    ],
    hostNetwork: true,
  },
});

describe("strategic merge", () => {
  test("lists merge by key, others are replaced, null removes", () => {
    const patch = {
      metadata: { labels: { a: null, b: "2" } },
      spec: { containers: [{ name: "one", command: ["new"], env: [{ name: "B", value: "2" }] }] },
    };
    expect(applyStrategicPatch(pod(), patch)).toEqual({
      metadata: { name: "p", labels: { b: "2" } },
      spec: {
        containers: [
          {
            name: "one",
            command: ["new"],
            env: [
              { name: "B", value: "2" },
              { name: "A", value: "1" },
            ],
          },
          { name: "two", image: "two:1" },
        ],
        hostNetwork: true,
      },
    } as never);
  });

  test("$patch delete and replace", () => {
    const deleted = applyStrategicPatch(pod(), {
      spec: { containers: [{ name: "two", $patch: "delete" }] },
    }) as ReturnType<typeof pod>;
    expect(deleted.spec.containers.map((c) => c.name)).toEqual(["one"]);
    const replaced = applyStrategicPatch(pod(), { spec: { $patch: "replace", hostNetwork: false } });
    expect(replaced["spec"]).toEqual({ hostNetwork: false });
    expect(() => applyStrategicPatch(pod(), { spec: { containers: [{ image: "nameless" }] } })).toThrow("has no name");
  });
});

test("what a patch adds to a list comes before what it does not name, as kubeadm's strategic merge has it", () => {
  const names = (list: string[]) => list.map((name) => ({ name }));
  const merged = (target: string[], patch: object[]) =>
    (
      applyStrategicPatch({ containers: names(target) }, { containers: patch }) as { containers: { name: string }[] }
    ).containers
      .map(({ name }) => name)
      .join("");
  expect(merged(["a", "b", "c"], names(["x"]))).toBe("xabc");
  expect(merged(["a", "b", "c"], names(["c", "x", "a"]))).toBe("bcxa");
  expect(merged(["a", "b", "c"], [...names(["x", "b"]), { name: "a", $patch: "delete" }])).toBe("xbc");
  expect(merged(["a", "b"], [{ $patch: "replace" }, ...names(["z", "y"])])).toBe("zy");
  for (const [patch, message] of [
    [[{ image: "x" }], "an item of containers has no name"],
    [["text"], "an item of containers has no name"],
    [[{ name: "a", $patch: "swap" }], 'unknown $patch directive "swap"'],
  ] as const)
    expect(() => merged(["a"], patch as never)).toThrow(message);
});

test("the examples of RFC 7386", () => {
  for (const [target, patch, result] of [
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ a: "foo" }, "bar", "bar"],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ] as const) {
    expect(applyMergePatch(target, patch)).toEqual(result as never);
  }
});

test("the examples of RFC 6902, appendix A", () => {
  const apply = (document: unknown, ...operations: object[]) => applyJsonPatch(document, operations as never);
  expect(apply({ foo: "bar" }, { op: "add", path: "/baz", value: "qux" })).toEqual({ foo: "bar", baz: "qux" });
  expect(apply({ foo: ["bar", "baz"] }, { op: "add", path: "/foo/1", value: "qux" })).toEqual({
    foo: ["bar", "qux", "baz"],
  });
  expect(apply({ foo: ["bar", "qux", "baz"] }, { op: "remove", path: "/foo/1" })).toEqual({ foo: ["bar", "baz"] });
  expect(apply({ foo: ["all", "grass", "cows", "eat"] }, { op: "move", from: "/foo/1", path: "/foo/3" })).toEqual({
    foo: ["all", "cows", "eat", "grass"],
  });
  expect(apply({ "/": 9, "~1": 10 }, { op: "test", path: "/~01", value: 10 })).toEqual({ "/": 9, "~1": 10 });
  expect(apply({ foo: ["bar"] }, { op: "add", path: "/foo/-", value: ["abc"] })).toEqual({ foo: ["bar", ["abc"]] });
  for (const operation of [
    { op: "add", path: "/baz/bat", value: 1 },
    { op: "test", path: "/foo", value: "other" },
    { op: "remove", path: "/nothing" },
    { op: "jump", path: "/foo" },
  ]) {
    expect(() => apply({ foo: "bar" }, operation)).toThrow();
  }
});

test("patches are read from a directory in kubeadm's naming", () => {
  const dir = mkdtempSync(join(tmpdir(), "kubestick-patches-"));
  try {
    writeFileSync(join(dir, "etcd0+merge.json"), '{"spec":{"hostNetwork":false}}');
    writeFileSync(join(dir, "etcd1+json.yaml"), "- {op: add, path: /metadata/x, value: z}\n");
    writeFileSync(join(dir, "kube-apiserver.yaml"), "spec: {priority: 1}\n");
    writeFileSync(join(dir, "README.md"), "ignored");
    const { patches } = readPatches(dir);
    expect(applyPatches(pod(), "etcd", patches)).toMatchObject({ metadata: { x: "z" }, spec: { hostNetwork: false } });
    expect(applyPatches(pod(), "kube-apiserver", patches)).toMatchObject({ spec: { priority: 1, hostNetwork: true } });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
