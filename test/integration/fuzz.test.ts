import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LAST_TIME_FILE } from "../../lib/constants/network.ts";
import {
  CONTAINERD_RESTART_MARK,
  HOST_BINARIES_FILE,
  KUBELET_CONFIG_FILE,
  KUBELET_RESTART_MARK,
  LEDGER_FILE,
  OWN_RESOLV_CONF,
  SERVICES_DIR,
} from "../../lib/constants/paths.ts";
import { MINIMAL } from "../support/config.ts";
import { COMMANDS } from "../support/fuzz-commands.ts";
import { HOSTILE, random, TOKEN, VALUES } from "../support/fuzz-values.ts";
import type { Ran, Run } from "../support/fuzz-worker.ts";
import { runInSandbox, sandbox } from "../support/sandbox.ts";
import { smallBundle } from "../support/small-bundle.ts";

/** More of each by hand: KUBESTICK_FUZZ_RUNS=20000 KUBESTICK_FUZZ_SEED=2 */
const RUNS = Number(process.env["KUBESTICK_FUZZ_RUNS"] ?? 400);
const SEED = Number(process.env["KUBESTICK_FUZZ_SEED"] ?? 1);

/** What is no message: a bug, a stack trace, or a character that a terminal obeys. */
function wrong(ran: Ran | undefined): string | undefined {
  if (ran === undefined) return "does not end";
  const said = ran.stdout + ran.stderr;
  if (![0, 1, 2, 3].includes(ran.code)) return `exit code ${ran.code}`;
  if (/bug in kubestick|uncaughtException|unhandledRejection/.test(said)) return "a bug";
  if (/^\s+at .*[(:]\d+/m.test(said)) return "a stack trace";
  if (/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(said.replace(/[\n\t]/g, ""))) return "a control character";
  if (ran.code !== 0 && ran.stderr === "") return "no words";
  return undefined;
}

let work: string;
let box: ReturnType<typeof sandbox>;
let prepared: Run;
const inBox = (...parts: string[]) => join(work, ...parts);

/** Paths of every kind, made in the sandbox before the first run. */
const PATHS = () => [
  ...`none none/below file/below dir file binary config.yaml join.yaml kubeconfig bundle.tar lock.yaml loop dangling patches
empty cut.tar n${"a".repeat(300)}`
    .split(/\s+/)
    .map((name) => inBox(name)),
  inBox(HOSTILE.replaceAll("/", "")),
  ..."/ /dev/null /proc/self/mem /proc/self/fd /etc/passwd /etc/shadow/x relative ../.. ~ .".split(" "),
];

const base64 = (data: string | Uint8Array) => ({ base64: Buffer.from(data).toString("base64") });

beforeAll(async () => {
  work = fs.mkdtempSync(join(tmpdir(), "kubestick-fuzz-"));
  const made = fs.mkdtempSync(join(tmpdir(), "kubestick-fuzz-bundle-"));
  const bundle = fs.readFileSync(smallBundle(join(made, "bundle.tar")));
  fs.rmSync(made, { recursive: true });
  prepared = {
    argv: ["version"],
    files: {
      [inBox("dir")]: { directory: true },
      [inBox("patches")]: { directory: true },
      [inBox("patches", `etcd${HOSTILE.replaceAll("/", "")}.yaml`)]: base64("a: b\n"),
      [inBox("patches", "kube-apiserver+json.yaml")]: base64("- {op: add}\n"),
      [inBox("file")]: base64("just words\n"),
      [inBox("empty")]: base64(""),
      [inBox("binary")]: base64(Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7) % 256)),
      [inBox("config.yaml")]: base64(MINIMAL),
      [inBox("join.yaml")]: base64(
        `apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery:\n  bootstrapToken: {token: ${TOKEN}, apiServerEndpoint: "127.0.0.1:6443", unsafeSkipCAVerification: true}\ntimeouts: {discovery: 1s}\n`,
      ),
      [inBox("kubeconfig")]: base64(
        `apiVersion: v1\nkind: Config\nclusters: [{name: "${JSON.stringify(HOSTILE).slice(1, -1)}"}]\n`,
      ),
      [inBox("bundle.tar")]: base64(bundle),
      [inBox("cut.tar")]: base64(bundle.subarray(0, 3_000)),
      [inBox("lock.yaml")]: base64(
        "apiVersion: bundle.kubestick.dev/v1alpha1\nkind: BundleLock\nkubernetesVersion: v1.36.2\n",
      ),
      [inBox("loop")]: { link: inBox("loop") },
      [inBox("dangling")]: { link: inBox("none") },
    },
  };
  await open();
});
async function open(): Promise<void> {
  box = sandbox(work);
  await box.run(prepared);
}
afterAll(async () => {
  await box.end();
  fs.rmSync(work, { recursive: true, force: true });
});

/** What would wait, or take more of the machine than a fuzz may. */
function spared(argv: string[]): boolean {
  const [first, second] = argv;
  // A process is asked once.
  if (first === "reset" && !argv.some((word) => /^--?(f|force|dry-run)$/.test(word))) return true;
  const has = (text: string) => argv.some((word) => word.includes(text));
  if (first === "join" && argv.some((word, i) => i > 0 && /^([a-zA-Z0-9.]+|\[::1\]|::1?|1|fe80.*)(:\d+)?$/.test(word)))
    return true;
  if (has("bundle.tar") && (has("container-runtime") || (second === "phase" && argv.at(2) === "bundle"))) return true;
  // Registries are asked again and again before they count as not there.
  if (second === "create" && has("--image")) return true;
  return (second === "serve" || second === "up") && has("bundle.tar");
}

function commandLine(r: ReturnType<typeof random>): string[] {
  const { words, flags } = r.of(COMMANDS);
  const paths = PATHS();
  const value = () => (r.chance(0.4) ? r.of(paths) : r.of(VALUES));
  const argv = r.chance(0.05) ? words.slice(0, -1) : [...words];
  if (words[1] === "lock") argv.push(`--lock=${inBox("file")}`);
  for (let i = r.below(5); i > 0; i--) {
    const flag = r.chance(0.05) ? { name: r.of(VALUES), type: undefined } : r.of(flags);
    const dashes = r.chance(0.1) ? "-" : "--";
    if (flag.type === "boolean" && r.chance(0.7)) argv.push(`${dashes}${flag.name}`);
    else if (r.chance(0.7)) argv.push(`${dashes}${flag.name}=${value()}`);
    else argv.push(`${dashes}${flag.name}`, value());
  }
  for (let i = r.below(3); i > 0; i--) argv.splice(r.below(argv.length + 1), 0, value());
  if (r.chance(0.05)) argv.splice(r.below(argv.length + 1), 0, r.of(["--", "--help", "-h", "help", "--version"]));
  return argv;
}

async function expectNothingWrong(runs: Iterable<Run>): Promise<void> {
  const failures: unknown[] = [];
  for (const one of runs) {
    // What an earlier one wrote would have this one wait for an API server.
    const ran = await box.run({ ...one, files: { "/etc/kubernetes": { directory: true }, ...one.files } });
    const what = wrong(ran);
    if (what !== undefined) failures.push({ what, ...one, ran });
    if (ran === undefined) {
      await box.end();
      await open();
    }
    if (failures.length > 20) break;
  }
  expect(failures).toEqual([]);
}

const root = process.getuid?.() === 0;

test.skipIf(!root)("where no service's definition can be read, the resident process ends with words", async () => {
  const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-supervise-"));
  const specs = [
    "",
    "null",
    "5",
    "[]",
    "{}",
    '{"name":"probe","program":5,"args":[]}',
    '{"name":"probe","program":"/bin/true"}',
  ];
  specs.push('{"name":"probe","program":"/bin/true","args":[{}]}', '{"name":"probe","program":"/a\\u0000","args":[]}');
  const each = `mkdir -p ${SERVICES_DIR}; for spec in "$@"; do printf %s "$spec" >${SERVICES_DIR}/probe.json
  timeout 20 "$BUN" "$ENTRY" supervise; echo "ended with $?"; done 2>&1`;
  const entry = join(import.meta.dir, "../../cmd/kubestick.ts");
  const command = ["env", `BUN=${process.execPath}`, `ENTRY=${entry}`, "sh", "-c", each, "sh", ...specs];
  const { stdout } = await runInSandbox(dir, command, 120_000);
  fs.rmSync(dir, { recursive: true });
  expect(stdout.trim().split("\n")).toEqual(
    specs.flatMap(() => [
      `error: the service probe is not known on this host, or ${SERVICES_DIR}/probe.json is damaged`,
      "ended with 1",
    ]),
  );
});

describe.skipIf(!root)("nothing that comes in from outside is a bug", () => {
  test("command lines", async () => {
    const r = random(SEED);
    const lines = Array.from({ length: RUNS }, () => commandLine(r)).filter((argv) => !spared(argv));
    expect(lines.length).toBeGreaterThan(RUNS * 0.7);
    await expectNothingWrong(lines.map((argv) => ({ argv })));
  });

  test("every flag of every command with every kind of path and some values", async () => {
    const r = random(SEED + 1);
    const lines = COMMANDS.filter(({ words }) => words[1] !== "lock")
      .flatMap(({ words, flags }) =>
        flags.map((flag) => [...words, `--${flag.name}=${r.chance(0.5) ? r.of(PATHS()) : r.of(VALUES)}`]),
      )
      .filter((argv) => !spared(argv));
    await expectNothingWrong(lines.map((argv) => ({ argv })));
  });

  test("environment variables", async () => {
    const names = [
      "PATH",
      "HOME",
      "KUBECONFIG",
      "TERM",
      "NO_COLOR",
      "LANG",
      "TZ",
      "COLUMNS",
      "CONSOLA_LEVEL",
      "FORCE_COLOR",
    ];
    const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "ALL_PROXY"];
    const r = random(SEED + 2);
    const commands = [
      ["init", "--dry-run", "--rootfs", inBox("out")],
      ["init", "phase", "preflight", "--ignore-preflight-errors=all"],
      ["join", "--config", inBox("join.yaml"), "--dry-run", "--ignore-preflight-errors=all"],
      ["join", "--discovery-file=https://127.0.0.1:1/x", `--tls-bootstrap-token=${TOKEN}`, "--dry-run"],
      ["token", "list"],
      ["bundle", "create", inBox("made.tar"), "--from", inBox("bundle.tar"), "--arch=amd64"],
      ["lab", "status"],
      ["reset", "--dry-run"],
    ];
    const runs = Array.from({ length: Math.ceil(RUNS / 8) }, (): Run => {
      const env: Record<string, string | null> = {};
      for (let i = 1 + r.below(3); i > 0; i--)
        env[r.of([...names, ...proxies])] = r.chance(0.2)
          ? null
          : (r.chance(0.3) ? r.of(PATHS()) : r.of(VALUES)).replaceAll("\0", "");
      return { argv: r.of(commands), env };
    });
    await expectNothingWrong(runs);
  });

  test("kubestick's own files on disk", async () => {
    const json = (value: unknown) => base64(JSON.stringify(value));
    const states: NonNullable<Run["files"]>[string][] = [
      ...[
        "",
        "null",
        "5",
        '"text"',
        "[]",
        "{}",
        "true",
        "{",
        "\0\0\0\0",
        "[".repeat(100_000),
        '{"a":',
        "\ufeff{}",
        "nan",
      ].map(base64),
      base64(Uint8Array.from({ length: 300 }, (_, i) => 255 - (i % 256))),
      json({
        "/etc/x": 5,
        "/etc/y": [5],
        "/etc/z": ["claimed"],
        "": ["claimed"],
        relative: ["claimed"],
        "\0": ["claimed"],
      }),
      json({ __proto__: { a: 1 }, constructor: ["claimed"], "/etc/hostname": [null], [HOSTILE]: ["claimed"] }),
      json({ containerd: { version: "v1", digest: "x", files: [5, null, {}, HOSTILE, "/none", "\0"] } }),
      json({ containerd: { version: 1, digest: 2, files: "x" }, kubelet: null, runc: [] }),
      json({
        containerd: { version: HOSTILE, digest: "", files: [] },
        kubelet: { version: "v9.9.9", digest: "", files: ["relative"] },
      }),
      json({ name: "lab", nodes: "3", controlPlanes: 1, subnet: "10.0.0.0/24" }),
      json({ name: "lab", nodes: 3, controlPlanes: 1, subnet: 5 }),
      json({ name: "lab", nodes: 1, controlPlanes: 1, subnet: "10.0.0.0/24" }),
      json({ name: 5, program: {}, args: 5 }),
      json({ name: "kubelet", program: "/none", args: [5], env: { A: 5 } }),
      base64("2026-99-99T00:00:00Z\n"),
      base64("+275760-09-13T00:00:00.000Z"),
      base64(`resolvConf: ${OWN_RESOLV_CONF}\nclusterDNS: {a: b}\ncgroupRoot: "/kubestick-\n`),
      base64("&a [*a, *a]"),
      base64('KUBELET_KUBEADM_ARGS="--x=\\'),
      { directory: true },
      { link: "loop" },
      { link: "/none/at/all" },
    ];
    const places = [
      LEDGER_FILE,
      HOST_BINARIES_FILE,
      LAST_TIME_FILE,
      KUBELET_RESTART_MARK,
      CONTAINERD_RESTART_MARK,
      OWN_RESOLV_CONF,
      KUBELET_CONFIG_FILE,
      "/var/lib/kubelet/kubeadm-flags.env",
      "/var/lib/kubelet/pki/kubelet-client.key.tmp",
      `${SERVICES_DIR}/kubelet.json`,
      SERVICES_DIR,
      "/run/kubestick/kubelet.pid",
      "/etc/kubernetes/manifests/etcd.yaml",
      "/etc/kubernetes/admin.conf",
      "/etc/kubernetes/kubelet.conf",
      "/etc/containerd/config.toml",
      "/etc/cni/net.d/10-kubestick.conflist",
      "/etc/resolv.conf",
      "/etc/hosts",
      "/var/lib/kubestick-lab/lab/lab.json",
      "/var/lib/kubestick-lab/lab/admin.conf",
      inBox(".made.tar.blobs/blobs/sha256", "0".repeat(64)),
      inBox(".made.tar.blobs"),
    ];
    const commands = [
      ["reset", "--dry-run"],
      ["reset", "--force"],
      ["init", "--dry-run", "--ignore-preflight-errors=all"],
      [
        "init",
        "--ignore-preflight-errors=all",
        "--bundle",
        inBox("bundle.tar"),
        "--skip-phases=bundle/container-runtime,bundle/images",
      ],
      ["init", "phase", "kubelet-start", "--ignore-preflight-errors=all"],
      ["init", "phase", "etcd", "local"],
      ["join", "--config", inBox("join.yaml"), "--ignore-preflight-errors=all"],
      ["token", "list"],
      ["lab", "status"],
      ["lab", "shell", "lab-1", "--", "true"],
      ["lab", "down"],
      ["bundle", "create", inBox("made.tar"), "--from", inBox("bundle.tar"), "--arch=amd64"],
    ];
    const r = random(SEED + 3);
    const runs = Array.from({ length: Math.ceil(RUNS / 2) }, (): Run => {
      const files: NonNullable<Run["files"]> = {};
      for (let i = 1 + r.below(2); i > 0; i--) files[r.of(places)] = r.of(states);
      return { argv: r.of(commands), files };
    });
    await expectNothingWrong(runs);
  });
});
