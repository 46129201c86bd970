import { afterAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Output } from "../../cmd/output.ts";
import { ERROR_CODES } from "../../lib/constants/error-codes.ts";
import { KubestickError, UsageError } from "../../lib/errors.ts";
import { MINIMAL } from "../support/config.ts";
import { kubestick } from "../support/kubestick.ts";
import { smallBundle } from "../support/small-bundle.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-output-"));
afterAll(() => fs.rmSync(dir, { recursive: true }));
const at = (name: string) => join(dir, name);

/** A command's report, of which standard output holds nothing else. */
async function report(...words: string[]) {
  const { code, stdout, stderr } = await kubestick(...words, "--output", "json");
  const parsed = JSON.parse(stdout) as Record<string, unknown>;
  expect(stdout).toBe(`${JSON.stringify(parsed, null, 2)}\n`);
  return { code, stderr, parsed };
}

describe("what succeeds", () => {
  test("reports its command, its status and its result; the result's fields stand beside it too", async () => {
    smallBundle(at("bundle.tar"));
    for (const [words, fields] of [
      [["version"], ["kubernetesVersion", "testedWith"]],
      [["token", "generate"], ["token"]],
      [
        ["bundle", "inspect", at("bundle.tar")],
        ["file", "images"],
      ],
      [
        ["bundle", "list", at("bundle.tar")],
        ["file", "items"],
      ],
      [
        ["bundle", "verify", at("bundle.tar")],
        ["blobs", "ok"],
      ],
      [
        ["bundle", "extract", at("bundle.tar"), at("out")],
        ["file", "directory"],
      ],
      [["bundle", "create", at("again.tar"), "--from", at("bundle.tar"), "--arch", "amd64"], ["bytes"]],
      [["lab", "down", "--dir", at("labs")], ["removed"]],
      [
        ["completion", "bash"],
        ["shell", "script"],
      ],
      [
        ["init", "phase", "certs", "ca", "--rootfs", at("root"), "--apiserver-advertise-address=192.0.2.10"],
        ["phases", "node"],
      ],
      [["help", "token", "list"], ["description"]],
      [["help", "output"], ["text"]],
    ] as const) {
      const { code, parsed } = await report(...words);
      const named = words.filter((word) => !word.startsWith("-") && !word.includes("/"));
      expect({ words, code, status: parsed["status"] }).toEqual({ words, code: 0, status: "done" });
      expect(named.join(" ")).toStartWith(parsed["command"] as string);
      const result = parsed["result"] as Record<string, unknown>;
      for (const field of fields) expect([words, result[field] !== undefined]).toEqual([words, true]);
      const { command, status, result: _, ...beside } = parsed;
      const { command: _c, status: _s, ...own } = result;
      expect([command, status, beside]).toEqual([command, status, own]);
    }
  });

  test("text and words for people stay as they are without it", async () => {
    const text = await kubestick("bundle", "verify", at("bundle.tar"));
    expect(text.stdout).toContain("all digests match");
    expect((await report("bundle", "verify", at("bundle.tar"))).stderr).not.toContain("all digests match");
  });
});

describe("what fails", () => {
  test("reports what failed, what to do, and a code; on standard error people read the same", async () => {
    fs.writeFileSync(at("bad.yaml"), MINIMAL.replace("clusterName", "clutserName").concat("\nfoo: bar\n"));
    fs.writeFileSync(at("cut.tar"), fs.readFileSync(at("bundle.tar")).subarray(0, 3_000));
    fs.mkdirSync(at("foreign/etc/kubernetes/manifests"), { recursive: true });
    fs.writeFileSync(at("foreign/etc/kubernetes/manifests/etcd.yaml"), "mine\n");
    for (const [words, command, code, exit] of [
      [["nonsense"], "kubestick", "usage", 2],
      [["token", "nonsense"], "token", "usage", 2],
      [["token"], "token", "usage", 2],
      [[], "kubestick", "usage", 2],
      [["init", "--unknown"], "init", "usage", 2],
      [["init", "-v", "--v=x"], "init", "usage", 2],
      [["help", "nonsense"], "help", "usage", 2],
      [["join"], "join", "usage", 2],
      [["join", "phase", "preflight"], "join phase preflight", "usage", 2],
      [["completion", "tcsh"], "completion", "usage", 2],
      [["init", "--dry-run", "--config", at("bad.yaml")], "init", "config", 2],
      [["bundle", "verify", at("cut.tar")], "bundle verify", "damaged", 1],
      [["bundle", "verify", at("none.tar")], "bundle verify", "not-found", 1],
      [["bundle", "create", at("x.tar"), "--lock", at("none.yaml")], "bundle create", "not-found", 1],
      [["lab", "status", "--dir", at("labs")], "lab status", "not-found", 1],
      [["token", "list", "--kubeconfig", at("none.conf")], "token list", "not-found", 1],
      [["init", "phase", "etcd", "local", "--rootfs", at("foreign")], "init phase etcd local", "foreign", 1],
    ] as const) {
      const { code: ended, parsed, stderr } = await report(...words);
      expect({ words, ended, parsed }).toEqual({
        words,
        ended: exit,
        parsed: expect.objectContaining({ command, status: "failed", error: expect.any(String), code }),
      });
      expect(stderr).toContain(`error: ${(parsed["error"] as string).split("\n")[0]}`);
      if (parsed["hint"] !== undefined) expect(stderr).toContain(`what to do: ${parsed["hint"]}`);
    }
  });

  test("a run of phases that fails still reports what became of each", async () => {
    const { parsed } = await report("init", "phase", "etcd", "local", "--rootfs", at("foreign"));
    const { phases } = parsed["result"] as { phases: { phase: string; status: string }[] };
    expect(phases.map(({ phase, status }) => [phase, status])).toEqual([["etcd/local", "failed"]]);
    expect(parsed["phases"]).toEqual(phases as never);
  });

  test("whoever asks for JSON in any spelling gets it, also where the rest cannot be read; what follows -- does not ask", async () => {
    for (const words of [
      ["nonsense", "-o", "json"],
      ["nonsense", "-o=json"],
      ["--output=json", "nonsense"],
      ["-output", "json", "nonsense"],
      ["init", "--bad", "--output", "json"],
    ])
      expect(JSON.parse((await kubestick(...words)).stdout)).toMatchObject({ status: "failed", code: "usage" });
    expect(await kubestick("nonsense", "--", "-o", "json")).toMatchObject({ code: 2, stdout: "" });
    expect(await kubestick("version", "--output=yaml")).toMatchObject({ code: 2, stdout: "" });
  });

  test("a code is the error's own, its cause's, its exit code's or its errno's, and always one of the list", () => {
    const system = (code: string) => Object.assign(new Error("x"), { code });
    for (const [error, code] of [
      [new KubestickError("x"), "failed"],
      [new KubestickError("x", { code: "clock", cause: system("EACCES") }), "clock"],
      [new KubestickError("x", { exitCode: 3 }), "preflight"],
      [new UsageError("x"), "usage"],
      [new KubestickError("x", { cause: new KubestickError("y", { code: "etcd" }) }), "etcd"],
      [new KubestickError("x", { cause: system("EACCES") }), "permission"],
      [new KubestickError("x", { cause: system("ENOSPC") }), "disk-full"],
      [new KubestickError("x", { cause: system("EMFILE") }), "system"],
      [new KubestickError("x", { cause: system("constructor") }), "failed"],
      [new KubestickError("x", { cause: "text" }), "failed"],
    ] as const) {
      expect(error.code).toBe(code);
      expect(Object.keys(ERROR_CODES)).toContain(error.code);
    }
  });

  test("what is a bug of ours says so, in the report too, and its stack only where -v asks for it", () => {
    const said = { stdout: "", stderr: "" };
    const before = [process.stdout.write, process.stderr.write] as const;
    const capture = (name: keyof typeof said) => (chunk: unknown) => {
      said[name] += String(chunk);
      return true;
    };
    [process.stdout.write, process.stderr.write] = [capture("stdout"), capture("stderr")];
    try {
      expect(new Output(["init", "-o", "json"]).failed(new TypeError("no\nsuch thing"))).toBe(1);
      expect(said.stderr).not.toContain("    at ");
      expect(new Output(["init", "-v3"]).failed(new TypeError("no such thing"))).toBe(1);
    } finally {
      [process.stdout.write, process.stderr.write] = before;
    }
    expect(JSON.parse(said.stdout)).toMatchObject({ status: "failed", error: "no\nsuch thing", code: "bug" });
    expect(said.stderr).toContain("    at ");
  });
});
