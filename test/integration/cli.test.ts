import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cmd/main.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { flatten } from "../../lib/phases/runner.ts";
import { MINIMAL } from "../support/config.ts";

let dir: string;
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), "kubestick-cli-"));
});
afterEach(() => fs.rmSync(dir, { recursive: true }));

async function kubestick(...args: string[]) {
  let [stdout, stderr] = ["", ""];
  const out = spyOn(process.stdout, "write").mockImplementation((chunk) => {
    stdout += String(chunk);
    return true;
  });
  const err = spyOn(process.stderr, "write").mockImplementation((chunk) => {
    stderr += String(chunk);
    return true;
  });
  try {
    return { code: await main(args), stdout, stderr };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

describe("usage", () => {
  test("help names every phase that runs, and each phase has help of its own", async () => {
    const { code, stdout } = await kubestick("init", "--help");
    expect(code).toBe(0);
    for (const { phase } of flatten(INIT_PHASES)) expect(stdout).toContain(phase.name);
    for (const { path, phase } of flatten(INIT_PHASES)) {
      const help = await kubestick("init", "phase", ...path.split("/"), "--help");
      expect({ path, code: help.code, described: help.stdout.includes(phase.short) }).toEqual({
        path,
        code: 0,
        described: true,
      });
    }
    expect((await kubestick("--help")).stdout).toContain("init");
  });

  test("help is asked for in each usual way, and has no colour where no terminal is", async () => {
    for (const [words, same] of [
      [["help"], ["--help"]],
      [["-h"], ["--help"]],
      [
        ["help", "init"],
        ["init", "--help"],
      ],
      [
        ["help", "init", "phase", "certs", "ca"],
        ["init", "phase", "certs", "ca", "--help"],
      ],
      [
        ["help", "bundle", "create"],
        ["bundle", "create", "-h"],
      ],
    ]) {
      const { code, stdout, stderr } = await kubestick(...words!);
      expect({ words, code, stderr, stdout }).toEqual({ words, ...(await kubestick(...same!)) });
      expect(code).toBe(0);
      expect(stdout).not.toContain("\x1b");
    }
    expect(await kubestick("help", "nonsense")).toMatchObject({ code: 2, stdout: "" });
  });

  test("token generate prints a token, as text or JSON", async () => {
    expect((await kubestick("token", "generate")).stdout).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}\n$/);
    const { stdout } = await kubestick("token", "generate", "-o", "json");
    const { token } = JSON.parse(stdout) as { token: string };
    expect(token).toMatch(/^[a-z0-9]{6}\.[a-z0-9]{16}$/);
    expect(JSON.parse(stdout)).toEqual({ command: "token generate", status: "done", result: { token }, token });
  });

  test("what is not known is refused with a suggestion and exit code 2", async () => {
    for (const [args, hint] of [
      [["intt"], 'did you mean "kubestick init"?'],
      [["init", "--pod-network-cird=10.0.0.0/8"], "did you mean --pod-network-cidr?"],
      [["init", "phase", "cert", "ca"], "certs ca"],
      [["init", "--skip-phases=addons"], 'did you mean "addon"?'],
      [["init", "extra"], "unknown command"],
      [["init", "--output=yaml"], "--output is text or json"],
      [["init", "--apiserver-bind-port=70000"], "a port from 1 to 65535"],
      [["init", "--token"], "--token needs a value"],
      [["init", "--token=short", "--dry-run"], "--token: must be six characters"],
      [["init", "--service-cidr=10.0.0.0/33"], "--service-cidr"],
      [["init", "--config=/none.yaml"], "cannot read the configuration /none.yaml"],
      [
        ["init", "--config=/none.yaml", "--pod-network-cidr=10.0.0.0/8"],
        "can not mix '--config' with arguments [--pod-network-cidr]",
      ],
      [["init", "--rootfs=/tmp/x"], "add --dry-run"],
      [["init", "phase"], "which phase?"],
    ] as const) {
      const { code, stderr } = await kubestick(...args);
      expect({ args, code, hinted: stderr.includes(hint) ? hint : stderr }).toEqual({ args, code: 2, hinted: hint });
    }
  });

  test("a lab that cannot be is refused before anything is made", async () => {
    const labs = join(dir, "labs");
    for (const [args, hint] of [
      [["up", "--nodes=2", "--control-planes=3"], "--control-planes is a number from 1 to that of the nodes"],
      [["up", "--nodes=none"], "--nodes is a number"],
      [["up", "--name=Lab"], "a lab's name"],
      [["up", "--name=long-name"], "a lab's name"],
      [["up", "--subnet=10.0.0.0/28"], "--subnet is an IPv4 range"],
      [["shell"], "there is no lab"],
      [["status"], "kubestick lab up makes it"],
    ] as const) {
      const { code, stderr } = await kubestick("lab", ...args, `--dir=${labs}`);
      expect({ args, code, hinted: stderr.includes(hint) ? hint : stderr }).toEqual({
        args,
        code: args[0] === "up" ? 2 : 1,
        hinted: hint,
      });
    }
    fs.symlinkSync("/usr", join(dir, "link"));
    for (const [below, top] of [
      ["/opt/labs", "/opt"],
      ["/etc", "/etc"],
      ["/opt/../usr/local/none/labs", "/usr"],
      [join(dir, "link/labs"), "/usr"],
    ]) {
      const { code, stderr } = await kubestick("lab", "up", `--dir=${below}`);
      const refused = stderr.includes(`each node sees this machine's ${top} through an overlay`);
      expect({ below, code, refused }).toEqual({
        below,
        code: 2,
        refused: true,
      });
    }
    expect(await kubestick("lab", "down", `--dir=${labs}`)).toMatchObject({ code: 0 });
    expect(fs.existsSync(labs)).toBe(false);
  });

  test("version, as text and JSON", async () => {
    expect((await kubestick("version")).stdout).toMatch(/^kubestick v\S+ \(Kubernetes v1\.\d+\.\d+, linux\/\w+/);
    expect(JSON.parse((await kubestick("version", "-o", "json")).stdout)).toHaveProperty("kubernetesVersion");
    expect(await kubestick("--version")).toEqual(await kubestick("version"));
    expect(await kubestick("--version", "-o", "json")).toEqual(await kubestick("version", "-o", "json"));
  });
});

test("a reader that goes away costs no command its work, and a full disk is told", () => {
  const words = `'${process.execPath}' '${join(import.meta.dir, "../../cmd/kubestick.ts")}'`;
  const shell = (script: string) => {
    const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script]);
    return { stdout: stdout.toString().trim(), stderr: stderr.toString() };
  };
  const root = join(dir, "root");
  const init = `init --dry-run --rootfs ${root} --apiserver-advertise-address=192.0.2.10 --ignore-preflight-errors=all`;
  const gone = shell(`${words} ${init} 2>/dev/null | true; echo \${PIPESTATUS[0]}`);
  expect(gone).toEqual({ stdout: "0", stderr: "" });
  expect(fs.existsSync(join(root, "var/lib/kubestick/dry-run"))).toBe(true);
  const full = shell(`${words} init --help >/dev/full; echo $?`);
  expect(full.stdout).toBe("1");
  expect(full.stderr).toMatch(/^error: cannot write all that was to be said: ENOSPC[^\n]*\n$/);
  expect(shell(`${words} nonsense 2>/dev/full; echo $?`).stdout).toBe("2");
});

describe("dry runs and single phases", () => {
  test("a dry run prints every file and object, no secret, and changes nothing", async () => {
    const before = fs.existsSync("/etc/kubernetes") ? fs.readdirSync("/etc/kubernetes") : undefined;
    const { code, stdout } = await kubestick(
      "init",
      "--dry-run",
      "--pod-network-cidr=10.244.0.0/16",
      "--apiserver-advertise-address=192.0.2.10",
      "--ignore-preflight-errors=all",
      "--skip-token-print",
    );
    expect(code).toBe(0);
    for (const text of [
      "Would write /etc/kubernetes/pki/ca.crt",
      "Would write /etc/kubernetes/manifests/etcd.yaml (mode 0600",
      "Would apply ConfigMap kube-public/cluster-info",
      "--advertise-address=192.0.2.10",
    ]) {
      expect(stdout).toContain(text);
    }
    expect(stdout).not.toContain("PRIVATE KEY");
    expect(stdout).not.toContain("client-key-data");
    expect(stdout).not.toMatch(/[a-z0-9]{6}\.[a-z0-9]{16}\b/);
    expect(fs.existsSync("/etc/kubernetes") ? fs.readdirSync("/etc/kubernetes") : undefined).toEqual(before as never);
  });

  test("the JSON report has every phase with its outcome, the files and the objects, and nothing else on standard output", async () => {
    const { stdout } = await kubestick(
      "init",
      "--dry-run",
      "--rootfs",
      dir,
      "--output=json",
      "--skip-phases=addon/coredns",
      "--skip-phases=etcd,bootstrap-token",
    );
    const report = JSON.parse(stdout) as {
      phases: { phase: string; status: string }[];
      files: { path: string }[];
      objects: string[];
    };
    const status = Object.fromEntries(report.phases.map((p) => [p.phase, p.status]));
    expect(status).toMatchObject({
      "certs/ca": "done",
      etcd: "skipped",
      "addon/coredns": "skipped",
      "addon/kube-proxy": "done",
      "bootstrap-token": "skipped",
      "show-join-command": "done",
    });
    expect(report.files.map((f) => f.path)).not.toContain("/etc/kubernetes/manifests/etcd.yaml");
    expect(report.objects).toContain("DaemonSet kube-system/kube-proxy");
  });

  test("phases that only write files work on another root, one at a time, as kubeadm's do", async () => {
    const file = join(dir, "config.yaml");
    const root = join(dir, "root");
    fs.writeFileSync(file, MINIMAL);
    const phase = async (...words: string[]) => {
      const { code, stderr } = await kubestick(
        "init",
        "phase",
        ...words,
        "--config",
        file,
        "--rootfs",
        root,
        "--node-name=board",
      );
      expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: "" });
    };
    await phase("certs", "ca");
    expect(fs.readdirSync(join(root, "etc/kubernetes/pki")).sort()).toEqual(["ca.crt", "ca.key"]);
    await phase("certs", "all");
    await phase("kubeconfig", "admin");
    await phase("kubeconfig", "all");
    await phase("control-plane", "apiserver");
    await phase("control-plane", "all");
    await phase("etcd", "local");
    expect(fs.readdirSync(join(root, "etc/kubernetes/manifests")).sort()).toEqual([
      "etcd.yaml",
      "kube-apiserver.yaml",
      "kube-controller-manager.yaml",
      "kube-scheduler.yaml",
    ]);
    expect(fs.readFileSync(join(root, "etc/kubernetes/manifests/etcd.yaml"), "utf8")).toContain("--name=board");
    expect((await kubestick("init", "phase", "kubelet-start", "--config", file, "--rootfs", root)).code).toBe(2);
  });

  test("host names in capitals are taken as lower case, from flags, files and this host", async () => {
    const root = join(dir, "root");
    const file = join(dir, "config.yaml");
    fs.writeFileSync(
      file,
      `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration: {name: " Raspberry "}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controlPlaneEndpoint: Cluster.LAN:6443
apiServer: {certSANs: [Board.LAN]}
`,
    );
    expect(await kubestick("init", "--dry-run", "--config", file, "--rootfs", root)).toMatchObject({ code: 0 });
    expect(fs.readFileSync(join(root, "etc/kubernetes/manifests/etcd.yaml"), "utf8")).toContain("--name=raspberry\n");
    expect(fs.readFileSync(join(root, "etc/kubernetes/admin.conf"), "utf8")).toContain("https://cluster.lan:6443");
    const { subjectAltName } = new X509Certificate(fs.readFileSync(join(root, "etc/kubernetes/pki/apiserver.crt")));
    expect(subjectAltName).toContain("DNS:board.lan");
    expect(subjectAltName).toContain("DNS:raspberry,");
    const flags = ["--node-name=Other", "--control-plane-endpoint=API:6443", "--apiserver-cert-extra-sans=Pi.LAN"];
    const other = join(dir, "other");
    expect(await kubestick("init", "--dry-run", ...flags, "--rootfs", other)).toMatchObject({ code: 0 });
    expect(fs.readFileSync(join(other, "etc/kubernetes/manifests/etcd.yaml"), "utf8")).toContain("--name=other\n");
    expect(await kubestick("init", "--dry-run", "--node-name=pi_4", "--rootfs", other)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--node-name: "pi_4" must be a lower case host name'),
    });
  });

  test.skipIf(process.getuid?.() !== 0)("a host whose own name cannot be a node's is told so, and what to give", () => {
    const rename = 'printf %s "$1" >/proc/sys/kernel/hostname; shift; exec "$@"';
    const entry = join(import.meta.dir, "../../cmd/kubestick.ts");
    const named = (hostname: string, ...words: string[]) => {
      const command = ["unshare", "-u", "sh", "-c", rename, "sh", hostname, process.execPath, entry, ...words];
      const { exitCode, stderr, stdout } = Bun.spawnSync(command);
      return { code: exitCode, stderr: stderr.toString(), stdout: stdout.toString() };
    };
    const root = join(dir, "root");
    const init = ["init", "phase", "certs", "ca", "--rootfs", root, "--apiserver-advertise-address=10.0.0.5"];
    const token = ["--token=abcdef.0123456789abcdef", "--discovery-token-unsafe-skip-ca-verification"];
    for (const command of [init, ["join", "127.0.0.1:1", ...token]]) {
      const { code, stderr } = named("pi_4", ...command);
      expect(code).toBe(2);
      expect(stderr).toContain("this host's own name \"pi_4\" cannot be a node's name");
      expect(stderr).toContain("such as --node-name pi-4");
      expect(stderr).not.toContain("command line");
    }
    expect(fs.existsSync(root)).toBe(false);
    expect(named("(none)", ...init, "--node-name=pi-4")).toMatchObject({ code: 0, stderr: "" });
    const cluster = ["init", "phase", "etcd", "local", "--rootfs", root, "--apiserver-advertise-address=10.0.0.5"];
    expect(named("Raspberry", ...cluster)).toMatchObject({ code: 0, stderr: "" });
    expect(fs.readFileSync(join(root, "etc/kubernetes/manifests/etcd.yaml"), "utf8")).toContain("--name=raspberry\n");
  });

  test("a manifest that somebody else wrote, or edited, is not overwritten", async () => {
    const manifest = join(dir, "etc/kubernetes/manifests/etcd.yaml");
    expect((await kubestick("init", "phase", "etcd", "local", "--rootfs", dir)).code).toBe(0);
    fs.appendFileSync(manifest, "# mine\n");
    const { code, stderr } = await kubestick("init", "phase", "etcd", "local", "--rootfs", dir, "--node-name=other");
    expect(code).toBe(1);
    expect(stderr).toContain("/etc/kubernetes/manifests/etcd.yaml is already there, and kubestick did not write it");
    expect(fs.readFileSync(manifest, "utf8")).toEndWith("# mine\n");
  });

  test("patches change what is written", async () => {
    const patches = join(dir, "patches");
    fs.mkdirSync(patches);
    fs.writeFileSync(
      join(patches, "kube-apiserver0+json.yaml"),
      '- {op: add, path: "/spec/containers/0/command/-", value: "--v=4"}\n',
    );
    fs.writeFileSync(join(patches, "kubeletconfiguration0.yaml"), "maxPods: 20\n");
    const { code } = await kubestick("init", "--dry-run", "--rootfs", join(dir, "root"), "--patches", patches);
    expect({
      code,
      apiserver: fs
        .readFileSync(join(dir, "root/etc/kubernetes/manifests/kube-apiserver.yaml"), "utf8")
        .includes("- --v=4"),
    }).toEqual({ code: 0, apiserver: true });
    expect(fs.readFileSync(join(dir, "root/var/lib/kubelet/config.yaml"), "utf8")).toContain("maxPods: 20");
  });
});
