import { afterAll, afterEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterInfo, discoveryKubeconfig } from "../../lib/cluster/info.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { caPin } from "../../lib/pki/certificate.ts";
import { readCertificates } from "../../lib/pki/pem.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { command } from "../support/command.ts";
import { forged } from "../support/forge.ts";
import { http, identities, rawServer } from "../support/hostile.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-token-"));
const [own, home] = [process.env["KUBECONFIG"], process.env["HOME"]];
const closing: (() => void)[] = [() => fs.rmSync(dir, { recursive: true, force: true })];
afterAll(() => {
  for (const close of closing) close();
});
afterEach(() => {
  for (const [name, value] of [
    ["KUBECONFIG", own],
    ["HOME", home],
  ] as const) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

/** A cluster that shows one more CA in its cluster-info, and its kubeconfig. */
async function cluster() {
  const who = await identities();
  const authorities = who.ca + forged({ subject: "next", basic: { ca: true }, keyUsage: 6 }).cert;
  const double = await rawServer(who, ({ method, path, body }, self) => {
    if (method !== "GET") return http(200, body);
    if (path.includes("/configmaps/cluster-info"))
      return http(200, JSON.stringify(clusterInfo(discoveryKubeconfig(self.server, authorities), [])));
    return path.includes("/secrets?") ? http(200, '{"items":null}') : http(404, "{}");
  });
  closing.push(double.close);
  fs.mkdirSync(dir, { recursive: true });
  const file = join(dir, `${closing.length}.conf`);
  fs.writeFileSync(file, writeYaml(kubeconfig("c", "u", double.server, double.ca, { token: "t" })));
  return { file, authorities, server: double.server };
}

test("the join command pins every CA that the cluster shows, so that a renewed one is believed too", async () => {
  const { file, authorities, server } = await cluster();
  const { code, printed } = await command("token", "create", "--print-join-command", "--kubeconfig", file);
  expect(code).toBe(0);
  const pins = readCertificates(authorities, "the CAs").map((ca) => `--discovery-token-ca-cert-hash ${caPin(ca)}`);
  expect(printed).toContain(`kubestick join ${server.slice("https://".length)} --token `);
  expect(printed).toEndWith(`${pins.join(" ")}\n`);
});

test("the kubeconfig is KUBECONFIG's first that is there, or the user's own; files that it names lie beside it", async () => {
  const { file } = await cluster();
  const listed = { code: 0, printed: expect.stringContaining("TOKEN") };
  process.env["KUBECONFIG"] = `/none/such:${file}`;
  expect(await command("token", "list")).toEqual(listed);
  process.env["KUBECONFIG"] = "/none/such";
  expect(await command("token", "list")).toEqual({
    code: 1,
    printed: expect.stringContaining("cannot read /none/such"),
  });
  delete process.env["KUBECONFIG"];
  fs.mkdirSync(join(dir, ".kube"));
  const text = fs.readFileSync(file, "utf8");
  const [, ca = ""] = /certificate-authority-data: (\S+)/.exec(text)!;
  fs.writeFileSync(join(dir, ".kube/ca.crt"), Buffer.from(ca, "base64"));
  fs.writeFileSync(join(dir, ".kube/token"), "t\n");
  fs.writeFileSync(
    join(dir, ".kube/config"),
    text
      .replace(/certificate-authority-data: .*/, "certificate-authority: ca.crt")
      .replace("token: t", "tokenFile: token"),
  );
  process.env["HOME"] = dir;
  expect(await command("token", "list")).toEqual(listed);
});
