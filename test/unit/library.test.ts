import { afterAll, afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import * as kubestick from "kubestick";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { flatten } from "../../lib/phases/runner.ts";
import { silentUi } from "../support/ui.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-library-"));
afterAll(() => fs.rmSync(dir, { recursive: true }));

const CONFIG = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.0.0.5}
nodeRegistration: {name: n1}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
`;

describe("kubestick as a library", () => {
  let written = "";
  const spies = () =>
    [process.stdout, process.stderr].map((stream) =>
      spyOn(stream, "write").mockImplementation((chunk) => {
        written += String(chunk);
        return true;
      }),
    );
  let spied: ReturnType<typeof spies>;
  beforeEach(() => {
    written = "";
    spied = spies();
  });
  afterEach(() => {
    for (const spy of spied) spy.mockRestore();
    expect(written).toBe("");
  });

  test("init gives a report, and writes nothing to standard output or error", async () => {
    const rootfs = join(dir, "root");
    const report = await kubestick.init({ config: CONFIG, dryRun: true, rootfs });
    expect(report).toMatchObject({ node: "n1", server: "https://10.0.0.5:6443", dryRun: true });
    expect(report.phases.filter(({ status }) => status === "failed")).toEqual([]);
    expect(report.phases.map(({ phase }) => phase)).toContain("certs/ca");
    expect(report.join?.command).toMatch(/^kubestick join 10\.0\.0\.5:6443 --token /);
    expect(report.objects).toContain("ConfigMap kube-system/kubeadm-config");
    expect(report.files).toContainEqual({ path: "/etc/kubernetes/admin.conf", mode: "0600" });
    expect(fs.existsSync(join(rootfs, "etc/kubernetes/admin.conf"))).toBe(true);
  });

  test("a Ui of the caller's own hears what is done", async () => {
    const lines: string[] = [];
    const rootfs = join(dir, "heard");
    await kubestick.init({ config: CONFIG, rootfs, phase: ["certs", "ca"], ui: silentUi(lines) });
    expect(lines).toContain('[certs] Generated "ca" certificate and key');
  });

  test("what fails is thrown with a hint, and tells how far it came", async () => {
    const rootfs = join(dir, "broken");
    fs.mkdirSync(join(rootfs, "etc/kubernetes/pki"), { recursive: true });
    fs.writeFileSync(join(rootfs, "etc/kubernetes/pki/ca.crt"), "no certificate");
    const error = await kubestick.init({ config: CONFIG, dryRun: true, rootfs }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(kubestick.KubestickError);
    const report = kubestick.reportOf(error) as kubestick.InitReport;
    expect(report.phases.at(-1)).toMatchObject({ phase: "certs/ca", status: "failed" });
    expect(report.join).toBeUndefined();
    expect(kubestick.reportOf(new Error("another"))).toBeUndefined();
  });

  test("a proxy is taken from the environment that is given, and from no other", async () => {
    const before = process.env["HTTPS_PROXY"];
    process.env["HTTPS_PROXY"] = "http://proxy.of.the.process:3128";
    try {
      const manifest = async (name: string, environment?: Record<string, string>) => {
        const rootfs = join(dir, name);
        await kubestick.init({ config: CONFIG, rootfs, phase: ["control-plane", "apiserver"], environment });
        return fs.readFileSync(join(rootfs, "etc/kubernetes/manifests/kube-apiserver.yaml"), "utf8");
      };
      expect(await manifest("none")).not.toContain("3128");
      expect(await manifest("given", { HTTPS_PROXY: "http://given:3128" })).toContain("http://given:3128");
    } finally {
      if (before === undefined) delete process.env["HTTPS_PROXY"];
      else process.env["HTTPS_PROXY"] = before;
    }
  });

  test("options that cannot be used are refused before anything is done", async () => {
    for (const [wrong, words] of [
      [() => kubestick.init({ phase: ["cert"] }), 'unknown phase "cert"'],
      [() => kubestick.init({ config: "kind: Nothing\n" }), "apiVersion"],
      [() => kubestick.join({ config: CONFIG }), "JoinConfiguration"],
      [() => kubestick.createTokens({ token: "abcdef.0123456789abcdef", count: 2 }), "several"],
      [() => kubestick.createToken({ ttl: "tomorrow" }), "ttl"],
      [() => kubestick.deleteTokens(["ABC"]), "six characters"],
    ] as const)
      await expect(wrong() as Promise<unknown>).rejects.toThrow(words);
    expect(await kubestick.generateToken()).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
  });
});

/** The modules of this project that a module loads, now or later; those that only lend types are left out. */
function loads(file: string): string[] {
  const text = fs.readFileSync(file, "utf8");
  const specifiers = [
    ...text.matchAll(/^(?:import|export)\s+(?!type\b)(?:[^"';]*?\bfrom\s+)?"(\.[^"]+\.ts)"/gm),
    ...text.matchAll(/\bimport\("(\.[^"]+\.ts)"\)/g),
  ];
  return specifiers.map(([, specifier]) => join(dirname(file), specifier!));
}

test("no module of the library writes to standard output, or reads a setting from the process's environment", () => {
  const lib = join(import.meta.dir, "../../lib");
  const all = new Set<string>();
  const add = (file: string) => {
    if (all.has(file)) return;
    all.add(file);
    for (const next of loads(file)) add(next);
  };
  add(join(lib, "index.ts"));
  expect(all.size).toBeGreaterThan(flatten(INIT_PHASES).length);
  const uses = [...all]
    .filter((file) =>
      /\bprocess\.(env|stdout|stderr)\b|\bconsole\.(log|info|warn|error|debug)\(/.test(fs.readFileSync(file, "utf8")),
    )
    .map((file) => relative(lib, file));
  // PATH, which whatever starts a program looks it up in; and what the resident process hands on to what it starts.
  expect(uses.sort()).toEqual(["host/facts.ts", "services/program.ts", "services/supervisor.ts"]);
});
