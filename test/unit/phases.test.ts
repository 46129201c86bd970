import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CONTAINERD_RESTART_MARK,
  KUBELET_RESTART_MARK,
  LEDGER_FILE,
  OWN_RESOLV_CONF,
} from "../../lib/constants/paths.ts";
import type { Node } from "../../lib/edge/node.ts";
import { EXIT, KubestickError } from "../../lib/errors.ts";
import { Files } from "../../lib/host/files.ts";
import { ControlPlane } from "../../lib/phases/control-plane.ts";
import { pullImages } from "../../lib/phases/images.ts";
import { type Init, openInit } from "../../lib/phases/init/context.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { JOIN_PHASES } from "../../lib/phases/join/join.ts";
import { RESET_PHASES } from "../../lib/phases/reset/reset.ts";
import { flatten, type Phase, type PhaseResult, runPhases, when, wholeOf } from "../../lib/phases/runner.ts";
import { INIT_CHECKS, type PreflightContext } from "../../lib/preflight/init.ts";
import { configFrom, FACTS, MINIMAL } from "../support/config.ts";
import { silentUi } from "../support/ui.ts";

const root = mkdtempSync(join(tmpdir(), "kubestick-phases-"));
afterAll(() => rmSync(root, { recursive: true }));

const run = async (phases: Phase<null>[], skip: string[] = []) => {
  const [lines, results]: [string[], PhaseResult[]] = [[], []];
  const error = await runPhases(wholeOf(phases), null, { skip: new Set(skip), ui: silentUi(lines), results }).then(
    () => undefined,
    (thrown: unknown) => thrown as Error,
  );
  return { lines, results, error };
};

describe("a list of phases", () => {
  test("says under which name each phase speaks: its own tag, or that of the phase that it is part of", async () => {
    const says = (name: string, tag?: string, children?: Phase<null>[]): Phase<null> => ({
      name,
      short: name,
      ...(tag ? { tag } : {}),
      children,
      run: (_, step) => step(name),
    });
    const { lines } = await run([says("a", undefined, [says("b"), says("c", "see", [says("d")])]), says("e", "etcd")]);
    expect(lines).toEqual(["[a] a", "[a] b", "[see] c", "[see] d", "[etcd] e"]);
  });

  test("leaves out a phase whose condition does not hold, with what is in it, and says why", async () => {
    const phase: Phase<null> = {
      name: "one",
      short: "one",
      run: (_, step) => step("ran"),
      children: [{ name: "part", short: "part", run: (_, step) => step("ran") }],
    };
    const { lines, results } = await run([
      when({ holds: () => false, otherwise: "it is Sunday" }, phase),
      when({ holds: () => true, otherwise: "never" }, { ...phase, name: "two" }),
    ]);
    expect(lines).toEqual(["[two] ran", "[two] ran"]);
    expect(results[0]).toMatchObject({ phase: "one", status: "skipped", reason: "it is Sunday" });
  });

  test("takes back what the failed phase had begun, and no other; the first error is the one that is thrown", async () => {
    const done: string[] = [];
    const phase = (name: string, fails = false, undoFails = false): Phase<null> => ({
      name,
      short: name,
      run: () => {
        done.push(`do ${name}`);
        if (fails) throw new KubestickError(`${name} failed`);
      },
      undo: () => {
        done.push(`undo ${name}`);
        if (undoFails) throw new KubestickError("the disk is full");
      },
    });
    const first = await run([phase("one"), phase("two", true), phase("three")]);
    expect(done).toEqual(["do one", "do two", "undo two"]);
    expect(first.error?.message).toBe("two failed");
    const second = await run([phase("four", true, true)]);
    expect(second.error?.message).toBe("four failed");
    expect(second.lines).toEqual(["what four had begun could not be taken back: the disk is full"]);
  });

  test("has each name once, and says what each leaf works from or leaves", () => {
    for (const [command, phases] of Object.entries({ init: INIT_PHASES, join: JOIN_PHASES, reset: RESET_PHASES })) {
      const all = flatten(phases as Phase<never>[]);
      const paths = all.map(({ path }) => path);
      expect({ command, twice: paths.filter((path, i) => paths.indexOf(path) !== i) }).toEqual({ command, twice: [] });
      for (const { path, phase } of all)
        expect({ command, path, short: phase.short !== "", does: Boolean(phase.run ?? phase.children) }).toEqual({
          command,
          path,
          short: true,
          does: true,
        });
    }
  });
});

describe("the phases of init, one by one", () => {
  let ctx: Init;
  /** What each leaf wrote and applied, by its path. */
  const made = new Map<string, string[]>();
  /** What kubestick keeps for itself. */
  const OWN = [LEDGER_FILE, KUBELET_RESTART_MARK, CONTAINERD_RESTART_MARK];
  /** What is only there on some hosts, or in some clusters. */
  const SOMETIMES = [
    OWN_RESOLV_CONF,
    "/etc/kubernetes/pki/cluster-signing.crt",
    "/var/lib/etcd",
    "/var/lib/kubestick/cluster.json",
    // The API server makes it itself, and a dry run takes it for granted.
    "Namespace kube-public",
  ];
  const leaves = flatten(INIT_PHASES).filter(
    ({ path, phase }) => !phase.children && !/^(preflight|bundle)\b/.test(path),
  );

  beforeAll(async () => {
    const host = { facts: FACTS, files: new Files(root), ui: silentUi(), bundle: undefined, environment: {} };
    ctx = openInit(
      configFrom(MINIMAL),
      { ...host, dryRun: true },
      {
        network: "flat",
        uploadCerts: true,
        skipTokenPrint: false,
        skipCertificateKeyPrint: false,
        ignorePreflightErrors: new Set(),
      },
    );
    for (const leaf of leaves) {
      const [files, objects] = [ctx.node.files.written.length, new Set(ctx.notes!.objects.keys())];
      await runPhases([leaf], ctx, { skip: new Set(), ui: ctx.node.ui, results: [] });
      made.set(leaf.path, [
        ...ctx.node.files.written.slice(files).map(({ path }) => path),
        ...[...ctx.notes!.objects.keys()].filter((key) => !objects.has(key)),
      ]);
    }
  });

  const isOf = (what: string, output: string) =>
    what === output ||
    what.startsWith(`${output}/`) ||
    new RegExp(`^${output.replaceAll(/[/.]/g, "\\$&").replace("ID", "[a-z0-9]{6}").replace("NAME", "cp1")}$`).test(
      what,
    );
  /** The binding that every run makes before the first object. */
  const FIRST = "ClusterRoleBinding kubeadm:cluster-admins";

  test("leave nothing but what they state as their outputs", () => {
    for (const { path, phase } of leaves) {
      const unstated = made
        .get(path)!
        .filter((what) => what !== FIRST && !OWN.includes(what))
        .filter((what) => !(phase.outputs ?? []).some((output) => isOf(what, output)));
      expect({ path, unstated }).toEqual({ path, unstated: [] });
    }
  });

  test("leave every file and object that they state", () => {
    for (const { path, phase } of leaves) {
      const missing = (phase.outputs ?? [])
        .filter((output) => output.startsWith("/") || /^[A-Z]\w+ \S+$/.test(output))
        .filter((output) => !SOMETIMES.includes(output) && !made.get(path)!.some((what) => isOf(what, output)));
      // A Node that is there already is changed, not made.
      const marks = path === "mark-control-plane" ? ["Node NAME"] : [];
      expect({ path, missing: missing.filter((output) => !marks.includes(output)) }).toEqual({ path, missing: [] });
    }
  });
});

describe("images that come from a registry", () => {
  const at = (more: string, here: string[], broken: string[] = []) => {
    const pulled: string[] = [];
    const lines: string[] = [];
    const cri = {
      hasImage: async (image: string) => here.some((name) => image.includes(name)),
      pull: async (image: string) => {
        if (broken.some((name) => image.includes(name))) throw new KubestickError(`cannot pull ${image}`);
        pulled.push(image);
      },
    };
    const config = configFrom(
      `${MINIMAL}---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nnodeRegistration: {${more}}\n`,
    );
    const node = { cri, facts: FACTS, files: new Files(root), ui: silentUi(lines), bundle: undefined };
    const cp = new ControlPlane(node as unknown as Node, config);
    const check = INIT_CHECKS.find(({ name }) => name === "ImagePull")!;
    const findings = () => Promise.resolve(check.run({ ...node, config } as unknown as PreflightContext));
    return { pulled, lines, findings, pull: (...ignored: string[]) => pullImages(cp, new Set(ignored), step) };
  };
  const step = Object.assign(() => undefined, { live: () => undefined });

  test("are pulled by their own phase; the check changes nothing", async () => {
    const host = at("imagePullPolicy: IfNotPresent", ["etcd", "pause"]);
    expect(await host.findings()).toEqual([]);
    expect(host.pulled).toEqual([]);
    await host.pull();
    expect(host.pulled.map((image) => /([a-z-]+):[^/]*$/.exec(image)![1])).toEqual([
      "kube-apiserver",
      "kube-controller-manager",
      "kube-scheduler",
      "kube-proxy",
      "coredns",
    ]);
  });

  test("are all pulled where that is asked for, and none where it is forbidden", async () => {
    const always = at("imagePullPolicy: Always", ["etcd"]);
    await always.pull();
    expect(always.pulled.some((image) => image.includes("etcd"))).toBe(true);
    const never = at("imagePullPolicy: Never", ["etcd", "kube", "coredns"]);
    await never.pull();
    expect(never.pulled).toEqual([]);
    expect(await never.findings()).toMatchObject([{ level: "warning", message: expect.stringContaining("pause") }]);
  });

  test("that cannot be had are told together, as a check that can be ignored", async () => {
    const host = at("imagePullPolicy: IfNotPresent", [], ["etcd", "coredns", "pause"]);
    const error = await host.pull().catch((thrown: unknown) => thrown as KubestickError);
    expect(error).toMatchObject({ exitCode: EXIT.preflight });
    expect((error as KubestickError).message).toMatch(
      /^2 preflight checks failed:\n {2}\[ImagePull\] cannot pull .*coredns.*\n {2}\[ImagePull\] cannot pull .*etcd/,
    );
    expect(host.lines.join("\n")).toContain("cannot pull registry.k8s.io/pause");
    await host.pull("ImagePull");
    expect(host.lines.join("\n")).toMatch(/\[ImagePull\] cannot pull .*coredns/);
  });
});
