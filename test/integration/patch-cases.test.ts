import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { clusterText, initText, Rooted } from "../support/rooted.ts";

let at: Rooted;
beforeEach(() => {
  at = new Rooted();
});
afterEach(() => at.remove());

describe("patches", () => {
  const MARK = "spec:\n  containers:\n  - name: kube-apiserver\n    env:\n    - {name: MARK, value: a}\n";
  const apply = async (files: Record<string, string>) => {
    for (const [name, content] of Object.entries(files)) at.write(`patches/${name}`, content);
    return at.phase(
      initText(`patches: {directory: ${join(at.dir, "patches")}}\n`) + clusterText(),
      "control-plane",
      "apiserver",
    );
  };
  const marked = () => at.container("kube-apiserver").env?.some((e) => e.name === "MARK") ?? false;

  test("are named as kubeadm's: any suffix but . and +, and whatever follows a dot is the extension's", async () => {
    for (const name of [
      "kube-apiserver_audit.yaml",
      "kube-apiserver.audit.yaml",
      "kube-apiserver 1.yaml",
      "kube-apiserver+merge-x.json",
      "below/kube-apiserver.yaml",
    ]) {
      const json = JSON.stringify({ metadata: { labels: { MARK: "a" } } });
      const { code } = await apply({ [name]: name.endsWith("json") ? json : MARK });
      expect([
        name,
        code,
        name.endsWith("json") ? at.pod("kube-apiserver").metadata.labels["MARK"] === "a" : marked(),
      ]).toEqual([name, 0, true]);
      fs.rmSync(join(at.dir, "patches"), { recursive: true });
      at.clear();
    }
  });

  test("may lie among other files and directories, which are named, and hold several documents", async () => {
    const several = `--- # one\n${MARK}--- # two\nmetadata:\n  labels:\n    MARK2: b\n`;
    const { code, stdout, stderr } = await apply({
      "kube-apiserver.yaml": several,
      "._kube-apiserver.yaml": "\u0000",
      "README.yaml": "a: b\n",
      "kube-apiserver.yml": MARK,
      "kube-apiserver1.yaml/.keep": "",
      "kube-scheduler.yaml": "",
    });
    expect([code, marked(), at.pod("kube-apiserver").metadata.labels["MARK2"]]).toEqual([0, true, "b"]);
    for (const line of [
      "Ignoring file ._kube-apiserver.yaml: its name begins with none of etcd, kube-apiserver,",
      "Ignoring file README.yaml: its name begins with none of",
      "Ignoring file kube-apiserver.yml: the extension must be json or yaml",
      "Ignoring file kube-apiserver1.yaml/.keep: the extension must be json or yaml",
      "Ignoring file kube-scheduler.yaml: it is empty",
    ])
      expect(stdout + stderr).toContain(line);
  });

  test("of an unknown type, or with a value that would not start, are refused by name", async () => {
    for (const [name, content, said] of [
      ["kube-apiserver+patch.yaml", MARK, "what follows + in its name is no patch type"],
      [
        "kube-apiserver.yaml",
        MARK.replace("value: a", "value: on"),
        "spec.containers[0].env[0].value is true, and must be a string; put quotes around it",
      ],
      ["kube-apiserver.yaml", "metadata: {labels: {a: 1}}\n", "metadata.labels.a is 1, and must be a string"],
      ["kube-apiserver.yaml", "- a\n", "a strategic patch must be a mapping"],
      ["kube-apiserver.yaml", "a: [\n", "kube-apiserver.yaml:2: is not YAML"],
      ["kube-apiserver+json.yaml", "- {op: remove, path: ''}\n", "it leaves no object"],
    ] as const) {
      const { code, stderr } = await apply({ [name]: content });
      expect([name, code === 0, stderr]).toEqual([name, false, expect.stringContaining(said)]);
      expect(stderr).toContain(name);
      fs.rmSync(join(at.dir, "patches"), { recursive: true });
    }
  });

  test("that copy themselves, or nest ever deeper, end at a bound", async () => {
    const doubling = "- {op: copy, from: /spec, path: /spec/copy}\n".repeat(40);
    const deeper = `- {op: add, path: /a, value: {}}\n${"- {op: add, path: /t, value: {}}\n- {op: move, from: /a, path: /t/a}\n- {op: move, from: /t, path: /a}\n".repeat(300)}`;
    for (const [content, said] of [
      [doubling, "its copies make more than 1048576 characters"],
      [deeper, "nests an object more than 100 levels deep"],
    ] as const) {
      const { code, stderr } = await apply({ "kube-apiserver+json.yaml": content });
      expect([code, stderr]).toEqual([1, expect.stringContaining(said)]);
    }
  });
});
