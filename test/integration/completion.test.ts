import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { complete } from "../../cmd/complete.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { savePlan } from "../../lib/lab/plan.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { flatten } from "../../lib/phases/runner.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { http, identities, rawServer } from "../support/hostile.ts";
import { kubestick } from "../support/kubestick.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-completion-"));
const at = (name: string) => join(dir, name);
const closing: (() => void)[] = [() => fs.rmSync(dir, { recursive: true, force: true })];
afterAll(() => {
  for (const close of closing) close();
});

const values = async (...words: string[]) => (await complete(words)).candidates.map(({ value }) => value);

describe("what fits", () => {
  test("commands and their parts", async () => {
    expect(await values("")).toEqual("init join reset token bundle lab verify version completion help".split(" "));
    expect(await values("to")).toEqual(["token"]);
    expect(await values("token", "")).toEqual(["create", "delete", "generate", "list"]);
    expect(await values("init", "")).toEqual(["phase"]);
    expect(await values("nonsense", "")).toEqual([]);
    expect(await values("-v", "3", "token", "c")).toEqual(["create"]);
    expect(await values("help", "us")).toEqual(["usb-stick"]);
    expect(await values("completion", "")).toEqual(["bash", "zsh", "fish"]);
  });

  test("phases: as commands, and in the list of those to skip", async () => {
    expect(await values("init", "phase", "")).toEqual(INIT_PHASES.map(({ name }) => name));
    expect(await values("init", "phase", "etcd", "")).toEqual(["all", "local"]);
    expect(await values("reset", "phase", "r")).toEqual(["remove-etcd-member"]);
    const all = flatten(INIT_PHASES).map(({ path }) => path);
    expect(await values("init", "--skip-phases", "")).toEqual(all);
    expect(await values("init", "--skip-phases=certs/s")).toEqual(["--skip-phases=certs/sa"]);
    expect(await values("init", "--skip-phases", "addon,ad")).toEqual(
      all.filter((path) => path.startsWith("addon/")).map((path) => `addon,${path}`),
    );
  });

  test("flags that are not given yet, lists again; values of fixed words; files where they fit", async () => {
    expect(await values("init", "--control")).toEqual(["--control-plane-endpoint"]);
    expect(await values("init", "--dry-run", "--dr")).toEqual([]);
    expect(await values("init", "--skip-phases=etcd", "--skip-p")).toEqual(["--skip-phases"]);
    expect(await values("version", "-")).toEqual(["--help", "--output", "-v"]);
    expect(await values("version", "-o", "")).toEqual(["text", "json"]);
    expect(await values("version", "--output=j")).toEqual(["--output=json"]);
    expect(await values("version", "--nonsense=j")).toEqual([]);
    expect(await complete(["init", "--config", ""])).toEqual({ candidates: [], files: "file" });
    expect(await complete(["init", "--patches", "x"])).toEqual({ candidates: [], files: "directory" });
    expect(await complete(["bundle", "verify", ""])).toEqual({ candidates: [], files: "file" });
    expect(await complete(["lab", "shell", "lab-1", "--", ""])).toEqual({ candidates: [], files: "file" });
  });

  test("nodes of a lab", async () => {
    fs.mkdirSync(at("labs/class"), { recursive: true });
    savePlan(at("labs"), { name: "class", nodes: 2, controlPlanes: 1, subnet: "10.1.2.0/24" });
    expect(await values("lab", "shell", "--name=class", `--dir=${at("labs")}`, "")).toEqual(["class-1", "class-2"]);
    expect(await values("lab", "shell", "--name=none", `--dir=${at("labs")}`, "")).toEqual([]);
  });

  test("ids of the cluster's tokens, each on one line; nothing where there is no cluster", async () => {
    const who = await identities();
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const secret = (id: string, description: string) => ({
      metadata: { name: `bootstrap-token-${id}` },
      type: "bootstrap.kubernetes.io/token",
      data: {
        "token-id": base64(id),
        "token-secret": base64("0123456789abcdef"),
        description: base64(description),
      },
    });
    const items = [secret("abcdef", "for\nthe \x1b[31mclass\t:file"), secret("zzzzzz", "")];
    const double = await rawServer(who, ({ path }) =>
      path.includes("/secrets?") ? http(200, JSON.stringify({ items, metadata: {} })) : http(404, "{}"),
    );
    closing.push(double.close);
    fs.writeFileSync(at("k.conf"), writeYaml(kubeconfig("c", "u", double.server, double.ca, { token: "t" })));
    expect(await values("token", "delete", "--kubeconfig", at("k.conf"), "")).toEqual(["abcdef", "zzzzzz"]);
    expect(await values("token", "delete", "--kubeconfig", at("k.conf"), "abcdef", "z")).toEqual(["zzzzzz"]);
    expect(await values("token", "delete", "--kubeconfig", at("none.conf"), "")).toEqual([]);
    const { stdout } = await kubestick("__complete", "--", "token", "delete", `--kubeconfig=${at("k.conf")}`, "a");
    expect(stdout).toBe("abcdef\tfor the \\x1b[31mclass :file\n:none\n");
  });
});

describe("in the shells themselves", () => {
  const bin = at("bin");
  const env = { ...process.env, PATH: `${bin}:${process.env["PATH"]}`, HOME: dir, TERM: "dumb", LC_ALL: "C.UTF-8" };

  beforeAll(() => {
    fs.mkdirSync(bin);
    const entry = join(import.meta.dir, "../../cmd/kubestick.ts");
    fs.writeFileSync(join(bin, "kubestick"), `#!/bin/sh\nexec '${process.execPath}' '${entry}' "$@"\n`, {
      mode: 0o755,
    });
    fs.writeFileSync(at("some-bundle.tar"), "");
    fs.mkdirSync(at("some-directory"));
  });

  /** Types lines at an interactive shell's prompt, `\t` being the key that completes; gives what was printed. */
  function typed(shell: string, lines: string[]): string {
    const { stdout } = Bun.spawnSync(["script", "-qec", shell, "/dev/null"], {
      env,
      cwd: dir,
      stdin: Buffer.from(`${lines.join("\n")}\nexit\n`),
      timeout: 60_000,
    });
    return stdout.toString().replaceAll("\r", "");
  }

  /** What is printed by commands that were only begun, and completed by the shell. */
  function expectCompleted(shell: string, setup: string): void {
    const printed = typed(shell, [
      setup,
      "kubestick token gen\t",
      "kubestick version --output=j\t | grep -c platform",
      "kubestick init --skip-phases=certs/s\t --help | grep -c 'Set up'",
      "kubestick help usb\t | head -1",
      "kubestick bundle ins\t some-b\t",
      "kubestick init phase upload-ce\t --help | head -1",
      "kubestick init --patches some-d\t --pod-n\t 10.0.0.0/33 --rootf\t some-d\t",
    ]);
    const lines = printed.split("\n").map((line) => line.trim());
    expect(lines.filter((line) => /^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(line))).toHaveLength(1);
    // Twice in a report: in the result, and beside it.
    expect(lines).toContain("2");
    expect(lines).toContain("1");
    expect(lines).toContain("# Kubernetes from a USB stick");
    expect(printed).toContain("some-bundle.tar");
    expect(printed).toContain("error: some-bundle.tar");
    expect(printed).toContain("--pod-network-cidr");
    expect(printed).toContain('--pod-network-cidr: "10.0.0.0/33"');
    expect(lines).toContain("Upload certificates to kubeadm-certs");
  }

  test.skipIf(!findProgram("script"))("bash", () => {
    expectCompleted("bash --norc --noprofile -i", "source <(kubestick completion bash)");
  });

  test.skipIf(!findProgram("script") || !findProgram("zsh"))("zsh", () => {
    expectCompleted("zsh -f -i", "autoload -U compinit; compinit -D -u; source <(kubestick completion zsh)");
  });

  test.skipIf(!findProgram("zsh"))("zsh, from a directory of completions", () => {
    fs.mkdirSync(at("functions"));
    const script = Bun.spawnSync(["kubestick", "completion", "zsh"], { env }).stdout;
    fs.writeFileSync(at("functions/_kubestick"), script);
    const setup = `fpath=(${at("functions")} $fpath); autoload -U compinit; compinit -D -u`;
    expect(typed("zsh -f -i", [setup, "kubestick token gen\t"])).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/m);
  });

  test.skipIf(!findProgram("fish"))("fish", () => {
    const fish = (line: string) => {
      const script = `kubestick completion fish | source; complete -C ${JSON.stringify(line)}`;
      return Bun.spawnSync(["fish", "-c", script], { env, cwd: dir }).stdout.toString().trim().split("\n");
    };
    expect(fish("kubestick token gen")).toEqual(["generate"]);
    expect(fish("kubestick version --output=j")).toEqual(["--output=json"]);
    expect(fish("kubestick init --skip-phases=certs/s")[0]).toStartWith("--skip-phases=certs/sa\t");
    expect(fish("kubestick help usb")).toEqual(["usb-stick\tKubernetes from a USB stick"]);
    expect(fish("kubestick bundle verify some-b")).toEqual(["some-bundle.tar"]);
    expect(fish("kubestick init --patches some-")).toEqual(["some-directory/\tDirectory"]);
  });

  test("the scripts are words of their shell, and an unknown shell is refused", async () => {
    const syntax = { bash: ["bash", "-n"], zsh: ["zsh", "-n"], fish: ["fish", "-n"] };
    for (const [shell, [program = "", ...flags]] of Object.entries(syntax)) {
      const { code, stdout } = await kubestick("completion", shell);
      expect([shell, code]).toEqual([shell, 0]);
      if (!findProgram(program)) continue;
      fs.writeFileSync(at(`script.${shell}`), stdout);
      const { exitCode, stderr } = Bun.spawnSync([program, ...flags, at(`script.${shell}`)]);
      expect({ shell, exitCode, stderr: stderr.toString() }).toEqual({ shell, exitCode: 0, stderr: "" });
    }
    expect(await kubestick("completion", "tcsh")).toMatchObject({ code: 2, stdout: "" });
  });
});
