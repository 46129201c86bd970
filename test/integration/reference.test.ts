import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { KubeObject } from "../../lib/api/resources.ts";
import { verifyDetached } from "../../lib/cluster/jws.ts";
import { Files } from "../../lib/host/files.ts";
import { run } from "../../lib/host/process.ts";
import { type Init, openInit } from "../../lib/phases/init/context.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { flatten, runPhases } from "../../lib/phases/runner.ts";
import { differences } from "../support/compare.ts";
import { configFrom, FACTS, reference } from "../support/config.ts";
import { INTENDED_DIFFERENCES } from "../support/intended-differences.ts";
import { silentUi } from "../support/ui.ts";

const root = mkdtempSync(join(tmpdir(), "kubestick-reference-"));
const seen = new Set<string>();
let ctx: Init;

beforeAll(async () => {
  for (const dir of ["etc/ca-certificates", "usr/share/ca-certificates", "usr/local/share/ca-certificates"]) {
    mkdirSync(join(root, dir), { recursive: true });
  }
  const files = new Files(root);
  files.write("/etc/resolv.conf", "nameserver 10.0.0.1\n", { mode: 0o644 });
  const host = { facts: FACTS, files, ui: silentUi(), bundle: undefined, environment: process.env, dryRun: true };
  ctx = openInit(configFrom(reference("input-config.yaml"), "input-config.yaml"), host, {
    uploadCerts: false,
    skipTokenPrint: false,
    skipCertificateKeyPrint: false,
    ignorePreflightErrors: new Set(),
    network: "none",
  });
  const phases = flatten(INIT_PHASES).filter((p) => p.depth === 0 && p.path !== "preflight");
  await runPhases(phases, ctx, { skip: new Set(), ui: ctx.node.ui, results: [] });
});

afterAll(() => rmSync(root, { recursive: true }));

const ours = (path: string) => readFileSync(join(root, path), "utf8");
const applied = (description: string): KubeObject => {
  const object = ctx.notes!.objects.get(description);
  if (!object) throw new Error(`not applied: ${description}`);
  return object;
};

/** The fields of one certificate as `openssl x509` prints them, or as the reference recorded them. */
interface CertificateFields {
  [field: string]: string;
}

function opensslFields(path: string): CertificateFields {
  const text = run("openssl", [
    "x509",
    "-in",
    path,
    "-noout",
    "-subject",
    "-issuer",
    "-dates",
    "-ext",
    "keyUsage,extendedKeyUsage,basicConstraints,subjectAltName",
  ]);
  const algorithm = run("openssl", ["x509", "-in", path, "-noout", "-text"])
    .split("\n")
    .filter((line) => /Public-Key:|Signature Algorithm/.test(line))
    .join("\n");
  return fields(`${text}\n${algorithm}`);
}

function fields(text: string): CertificateFields {
  const value = (pattern: RegExp) => pattern.exec(text)?.[1]?.trim() ?? "";
  const day = (date: string) => (date === "" ? 0 : Date.parse(date));
  const [from, to] = [day(value(/notBefore=(.*)/)), day(value(/notAfter=(.*)/))];
  return {
    subject: value(/subject=(.*)/).replaceAll(" ", ""),
    issuer: value(/issuer=(.*)/).replaceAll(" ", ""),
    "validity in minutes": String((to - from) / 60_000),
    "key usage": value(/Key Usage: critical\n\s+(.*)/),
    "extended key usage": value(/Extended Key Usage: ?\n\s+(.*)/),
    "basic constraints": value(/Basic Constraints: critical\n\s+(.*)/),
    names: value(/Subject Alternative Name: ?\n\s+(.*)/),
    "public key algorithm": value(/Public-Key: \((.*)\)/),
    "signature algorithm": value(/Signature Algorithm: (.*)/),
  };
}

function intended(where: string): boolean {
  seen.add(where);
  return INTENDED_DIFFERENCES.some((d) => d.where === where);
}

test("certificates are kubeadm's, field by field", () => {
  const records = reference("certificates.txt").split(/^== /m).filter(Boolean);
  expect(records).toHaveLength(10);
  for (const record of records) {
    const name = record.split("\n")[0]!.trim();
    const [theirs, mine] = [fields(record), opensslFields(join(root, "etc/kubernetes/pki", name))];
    for (const field of Object.keys(theirs)) {
      if (mine[field] === theirs[field] || intended(`certificates: ${field}`)) continue;
      expect({ name, field, value: mine[field] }).toEqual({ name, field, value: theirs[field] });
    }
  }
});

test("certificates end when kubeadm's do, and begin a day earlier", () => {
  for (const record of reference("certificates.txt").split(/^== /m).filter(Boolean)) {
    const name = record.split("\n")[0]!.trim();
    const minutes = (all: CertificateFields) => Number(all["validity in minutes"]);
    const [theirs, mine] = [fields(record), opensslFields(join(root, "etc/kubernetes/pki", name))].map(minutes);
    expect({ name, longer: mine! - theirs! }).toEqual({ name, longer: 24 * 60 - 5 });
  }
});

test("kubeconfigs are kubeadm's", () => {
  for (const record of reference("kubeconfigs.txt").split(/^== /m).filter(Boolean)) {
    const [name = "", ...rest] = record.split("\n");
    const [theirYaml = "", ...certificate] = rest.join("\n").split("\n\n");
    const mine = parse(ours(`etc/kubernetes/${name.trim()}`)) as Record<string, unknown>;
    const inline: string[] = [];
    const masked = JSON.parse(
      JSON.stringify(mine, (key, value) => {
        if (!key.endsWith("-data")) return value;
        if (key === "client-certificate-data") inline.push(Buffer.from(value, "base64").toString());
        return "<base64>";
      }),
    );
    expect({ name, config: masked }).toEqual({ name, config: parse(theirYaml) });
    if (inline[0] === undefined) continue;
    const path = join(root, "client.crt");
    new Files("/").write(path, inline[0]);
    const theirs = fields(certificate.join("\n"));
    const own = opensslFields(path);
    for (const field of ["subject", "validity in minutes", "extended key usage"]) {
      if (own[field] === theirs[field] || intended(`certificates: ${field}`)) continue;
      expect({ name, field, value: own[field] }).toEqual({ name, field, value: theirs[field] });
    }
  }
});

test("file modes are kubeadm's", () => {
  for (const line of reference("file-modes.txt").trim().split("\n")) {
    const [mode = "", path = ""] = line.split(" ./");
    // The first part of the list is below pki; kubeadm.yaml is the user's own input.
    if (path === "kubeadm.yaml") continue;
    const below = /\.(crt|key|pub)$/.test(path) ? "etc/kubernetes/pki" : "etc/kubernetes";
    expect(`${(statSync(join(root, below, path)).mode & 0o777).toString(8)} ${path}`).toBe(`${mode} ${path}`);
  }
});

test("static pods are kubeadm's", () => {
  for (const name of ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]) {
    const theirs = parse(reference(`manifests/${name}.yaml`));
    expect({ name, differences: differences(parse(ours(`etc/kubernetes/manifests/${name}.yaml`)), theirs) }).toEqual({
      name,
      differences: [],
    });
  }
});

test("the kubelet's files are kubeadm's", () => {
  expect(ours("var/lib/kubelet/config.yaml")).toBe(reference("kubelet-config.yaml"));
  expect(ours("var/lib/kubelet/kubeadm-flags.env")).toBe(`${reference("kubeadm-flags.env").trim()}\n`);
});

test("ConfigMaps are kubeadm's", () => {
  const configMap = (name: string) =>
    JSON.parse(reference(`cm-${name}.json`)) as KubeObject & { data: Record<string, string> };
  expect(applied("ConfigMap kube-system/kubelet-config")["data"]).toEqual(configMap("kubelet-config").data);
  expect(applied("ConfigMap kube-system/coredns")["data"]).toEqual(configMap("coredns").data);
  const proxy = applied("ConfigMap kube-system/kube-proxy");
  expect({ data: proxy["data"], metadata: proxy.metadata }).toEqual({
    data: configMap("kube-proxy").data,
    metadata: configMap("kube-proxy").metadata,
  });
  const mine = (applied("ConfigMap kube-system/kubeadm-config")["data"] as Record<string, string>)[
    "ClusterConfiguration"
  ]!;
  for (const { path } of differences(parse(mine), parse(configMap("kubeadm-config").data["ClusterConfiguration"]!))) {
    expect(intended(`ConfigMap kubeadm-config: ${path}`) ? undefined : path).toBeUndefined();
  }
});

test("cluster-info has kubeadm's shape and a signature that verifies", () => {
  const data = applied("ConfigMap kube-public/cluster-info")["data"] as Record<string, string>;
  const theirs = (JSON.parse(reference("cm-cluster-info.json")) as { data: Record<string, string> }).data;
  expect(Object.keys(data).sort()).toEqual(Object.keys(theirs).sort());
  const withoutCa = (text: string) => text.replace(/certificate-authority-data: .*/, "");
  expect(withoutCa(data["kubeconfig"]!)).toBe(withoutCa(theirs["kubeconfig"]!));
  expect(verifyDetached(data["jws-kubeconfig-abcdef"]!, data["kubeconfig"]!, "abcdef", "0123456789abcdef")).toBe(true);
  // kubeadm's own signature, made by kube-controller-manager, is the proof that we speak the same form.
  expect(verifyDetached(theirs["jws-kubeconfig-abcdef"]!, theirs["kubeconfig"]!, "abcdef", "0123456789abcdef")).toBe(
    true,
  );
});

test("the bootstrap token's Secret is kubeadm's", () => {
  const decode = (secret: KubeObject) =>
    Object.fromEntries(
      Object.entries(secret["data"] as Record<string, string>).map(([k, v]) => [
        k,
        Buffer.from(v, "base64").toString(),
      ]),
    );
  const mine = applied("Secret kube-system/bootstrap-token-abcdef");
  const theirs = JSON.parse(reference("secret-bootstrap-token.json")) as KubeObject;
  expect(mine["type"]).toBe(theirs["type"]);
  const [{ expiration: own, ...rest }, { expiration: other, ...their }] = [decode(mine), decode(theirs)];
  expect(rest).toEqual(their);
  expect(own).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  expect(other).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
});

test("RBAC and service accounts are kubeadm's: all of them and no more", () => {
  const theirs = JSON.parse(reference("rbac-and-serviceaccounts.json")) as KubeObject[];
  const id = (o: KubeObject) => `${o.kind} ${o.metadata.namespace ? `${o.metadata.namespace}/` : ""}${o.metadata.name}`;
  const kinds = new Set(["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"]);
  const mine = [...ctx.notes!.objects.values()].filter((o) => kinds.has(o.kind));
  expect(mine.map(id).sort()).toEqual(theirs.map(id).sort());
  for (const object of theirs)
    expect({ id: id(object), differences: differences(applied(id(object)), object) }).toEqual({
      id: id(object),
      differences: [],
    });
});

test("addons are kubeadm's", () => {
  for (const [description, file] of [
    ["Deployment kube-system/coredns", "deploy-coredns.json"],
    ["DaemonSet kube-system/kube-proxy", "ds-kube-proxy.json"],
    ["Service kube-system/kube-dns", "svc-kube-dns.json"],
  ] as const) {
    expect({ file, differences: differences(applied(description), JSON.parse(reference(file))) }).toEqual({
      file,
      differences: [],
    });
  }
});

test("the node gets kubeadm's labels and taint", () => {
  const theirs = JSON.parse(reference("node-cp1.json")) as KubeObject & { spec: { taints: { key: string }[] } };
  const mine = applied("Node cp1") as KubeObject & { spec: { taints: { key: string }[] } };
  expect(theirs.metadata["labels"]).toMatchObject(mine.metadata["labels"] as object);
  expect(theirs.spec.taints).toContainEqual(mine.spec.taints[0]!);
});

test("every intended difference still occurs", () => {
  expect([...seen].sort()).toEqual(INTENDED_DIFFERENCES.map((d) => d.where).sort());
});
