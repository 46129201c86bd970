import { describe, expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import { error, runChecks, warning, warnOfUnknown } from "../../lib/preflight/check.ts";
import { silentUi } from "../support/ui.ts";

describe("preflight", () => {
  const checks = [
    { name: "Good", why: "of a good reason", run: () => [] },
    { name: "Port", why: "it listens here", run: () => error("in use").map((f) => ({ ...f, name: "Port-6443" })) },
    { name: "Warns", why: "to be told", run: () => warning("hm") },
    { name: "Throws", why: "answers are needed", run: () => Promise.reject(new KubestickError("no answer")) },
  ];
  test("all errors are told together with the reason of each check, with exit code 3", async () => {
    const lines: string[] = [];
    const details: string[] = [];
    const ui = { ...silentUi(lines), detail: (text: string) => void details.push(text) };
    const failed = (await runChecks(checks, null, ui, new Set()).catch((e) => e)) as KubestickError;
    expect(failed.exitCode).toBe(3);
    expect(failed.message.split("\n")).toEqual([
      "2 preflight checks failed:",
      "  [Port-6443] in use",
      "    why: it listens here",
      "  [Throws] no answer",
      "    why: answers are needed",
    ]);
    expect(lines.join()).toContain("[Warns] hm");
    expect(details).toEqual(["[preflight] [Warns] why: to be told"]);
  });

  test("a name that no check has is told", () => {
    const lines: string[] = [];
    warnOfUnknown(checks, new Set(["port-6443", "THROWS", "all", "Mem", "Port6443"]), silentUi(lines));
    expect(lines.join("\n").match(/names no check: (\S+)/g)).toEqual([
      "names no check: mem",
      "names no check: port6443",
    ]);
  });

  test("ignored checks warn, by kubeadm's name too", async () => {
    const lines: string[] = [];
    await runChecks(checks, null, silentUi(lines), new Set(["port-6443", "THROWS"]));
    expect(lines.join("\n")).toContain("in use");
    await runChecks(checks, null, silentUi(lines), new Set(["all"]));
  });
});
