import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { Files } from "../../lib/host/files.ts";
import { run } from "../../lib/host/process.ts";
import { readKubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { bootstrapKubelet, hasNodeCertificate } from "../../lib/kubelet/bootstrap.ts";
import { apiDouble, json } from "../support/api-double.ts";

const CURRENT = "/var/lib/kubelet/pki/kubelet-client-current.pem";
const COLLECTION = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

type Csr = { metadata: { name: string }; spec: { request: string; signerName: string; usages: string[] } };

let root: string;
let files: Files;
let sent: Csr[];
/** What a controller makes of a request the n-th time it is looked at. */
let status: (csr: Csr, times: number) => object;
let double: Awaited<ReturnType<typeof apiDouble>>;
let client: ApiClient;

beforeEach(async () => {
  root = fs.mkdtempSync(join(tmpdir(), "kubestick-bootstrap-"));
  files = new Files(root);
  sent = [];
  let asked = 0;
  const ca = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=ca"];
  run("openssl", ["req", "-x509", ...ca, "-keyout", join(root, "ca.key"), "-out", join(root, "ca.crt")]);
  double = await apiDouble(({ method, url, body }, response) => {
    if (method === "POST" && url.pathname === COLLECTION) {
      const csr = JSON.parse(body) as Csr;
      if (sent.some(({ metadata }) => metadata.name === csr.metadata.name))
        return json(response, 409, { message: "already exists" });
      sent.push(csr);
      return json(response, 201, csr);
    }
    const csr = sent.find(({ metadata }) => url.pathname === `${COLLECTION}/${metadata.name}`);
    if (csr) return json(response, 200, { ...csr, status: status(csr, ++asked) });
    json(response, 404, { message: "not found" });
  });
  client = new ApiClient({ server: double.server, ca: double.ca, ...keyOf(double.client) });
});
afterEach(async () => {
  await client.close();
  double.close();
  fs.rmSync(root, { recursive: true });
});

const keyOf = ({ cert, key }: { cert: string; key: string }) => ({ clientCertificate: cert, clientKey: key });

/** The certificate of a request, by openssl as the CA. */
function issued({ spec }: Csr): object {
  const request = join(root, "request.pem");
  fs.writeFileSync(request, Buffer.from(spec.request, "base64"));
  const signer = ["-CA", join(root, "ca.crt"), "-CAkey", join(root, "ca.key"), "-CAcreateserial"];
  const pem = run("openssl", ["x509", "-req", "-in", request, ...signer, "-days", "1"]);
  return { certificate: Buffer.from(pem).toString("base64") };
}

const bootstrap = (
  waiting: (name: string) => void = () => undefined,
  timeoutMs = 5_000,
  unsigned: (name: string) => void = () => undefined,
) =>
  bootstrapKubelet({
    files,
    nodeName: "n1",
    client,
    cluster: { server: "https://cluster:6443", ca: double.ca },
    timeoutMs,
    waiting,
    unsigned,
  });

describe("the kubelet's certificate", () => {
  test("is asked for as a kubelet does, waited for, and kept as a kubelet keeps it", async () => {
    status = (csr, times) => (times < 3 ? {} : issued(csr));
    const waited: string[] = [];
    await bootstrap((name) => waited.push(name));
    const [csr] = sent as [Csr];
    expect(csr.spec).toMatchObject({
      signerName: "kubernetes.io/kube-apiserver-client-kubelet",
      usages: ["digital signature", "key encipherment", "client auth"],
    });
    expect(waited).toEqual([csr.metadata.name, csr.metadata.name, csr.metadata.name]);
    expect(hasNodeCertificate(files)).toBe(true);
    expect(fs.readlinkSync(join(root, CURRENT))).toMatch(
      /^\/var\/lib\/kubelet\/pki\/kubelet-client-\d{4}(-\d\d){5}\.pem$/,
    );
    const pair = files.readText(CURRENT)!;
    expect(new X509Certificate(pair).subject).toBe("O=system:nodes\nCN=system:node:n1");
    expect(files.list("/var/lib/kubelet/pki").filter((name) => name.endsWith(".tmp"))).toEqual([]);
    const read = (path: string) => files.readText(path);
    const connection = readKubeconfig(files.readText("/etc/kubernetes/kubelet.conf")!, "kubelet.conf", read);
    expect(connection).toMatchObject({ server: "https://cluster:6443", clientCertificate: pair, clientKey: pair });
    for (const path of ["/etc/kubernetes/kubelet.conf", CURRENT])
      expect(fs.statSync(files.real(path)).mode & 0o777).toBe(0o600);
  });

  test("is gone on with after a run that broke off, by the same key and request", async () => {
    status = () => ({});
    await expect(bootstrap(() => undefined, 50)).rejects.toThrow(/did not sign.*within/);
    expect(hasNodeCertificate(files)).toBe(false);
    status = issued;
    await bootstrap();
    expect(sent).toHaveLength(1);
    expect(hasNodeCertificate(files)).toBe(true);
  });

  test("that is approved and not signed is told of once, and signed by somebody else in the end", async () => {
    const told: string[] = [];
    status = (csr) => (told.length > 0 ? issued(csr) : { conditions: [{ type: "Approved", status: "True" }] });
    await bootstrap(undefined, 30_000, (name) => told.push(name));
    expect(told).toEqual([sent[0]!.metadata.name]);
    expect(hasNodeCertificate(files)).toBe(true);
  });

  test("that is denied, or is not for its key, is an error that says so, and nothing is kept", async () => {
    status = () => ({ conditions: [{ type: "Denied", message: "not in my cluster" }] });
    await expect(bootstrap()).rejects.toThrow("(Denied): not in my cluster");
    for (const given of [double.ca, "nonsense"]) {
      status = () => ({ certificate: Buffer.from(given).toString("base64") });
      await expect(bootstrap()).rejects.toThrow("is not for this node's key");
    }
    expect(hasNodeCertificate(files)).toBe(false);
  });
});
