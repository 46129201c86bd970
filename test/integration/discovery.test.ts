import { afterEach, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ClockSkew, discoverByToken, type TokenDiscovery } from "../../lib/bootstrap/discovery.ts";
import { discoverByFile } from "../../lib/bootstrap/discovery-file.ts";
import { verifiedTime } from "../../lib/bootstrap/server-time.ts";
import { clusterInfo, discoveryKubeconfig } from "../../lib/cluster/info.ts";
import { CERTIFICATE_BACKDATE } from "../../lib/constants/durations.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { caPin, certificatePem } from "../../lib/pki/certificate.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { apiDouble, type Handler, json, testCa } from "../support/api-double.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});
const TOKEN = { id: "abcdef", secret: "0123456789abcdef" };

/** A control plane's double that publishes a cluster-info, whose making a test can bend; keeps every request's headers. */
async function controlPlane(
  bend: (info: { data: Record<string, string> }, asked: number) => void = () => undefined,
  from?: number,
) {
  const seen: (string | undefined)[] = [];
  let info: (asked: number) => object = () => ({});
  const handler: Handler = (request, response) => {
    seen.push(request.token);
    // A control plane of another time says so.
    json(response, 200, info(seen.length), from === undefined ? {} : { date: new Date(from + 60_000).toUTCString() });
  };
  const double = await apiDouble(handler, { anyClient: true, from });
  closing.push(double.close);
  info = (asked) => {
    const made = structuredClone(clusterInfo(discoveryKubeconfig(double.server, double.ca), [TOKEN])) as {
      data: Record<string, string>;
    };
    bend(made, asked);
    return made;
  };
  const options: TokenDiscovery = {
    endpoint: double.server.slice("https://".length),
    token: `${TOKEN.id}.${TOKEN.secret}`,
    pins: [caPin(new X509Certificate(double.ca))],
    unsafeSkipCaVerification: false,
    timeoutMs: 500,
  };
  return { double, seen, options };
}

describe("discovery by token", () => {
  test("finds the cluster and gives it no secret", async () => {
    const { double, seen, options } = await controlPlane();
    expect(await discoverByToken(options)).toEqual({ server: double.server, ca: double.ca });
    expect(seen).toEqual([undefined, undefined]);
  });

  test("waits for a signature that comes later", async () => {
    const { options } = await controlPlane((info, asked) => {
      if (asked === 1) delete info.data["jws-kubeconfig-abcdef"];
    });
    expect(await discoverByToken({ ...options, timeoutMs: 5_000 })).toHaveProperty("ca");
  });

  test("each thing that does not fit stops it with an error of its own", async () => {
    const { options } = await controlPlane();
    const refuse = (changed: Partial<TokenDiscovery>) =>
      discoverByToken({ ...options, ...changed }).then(
        () => "went through",
        (error: Error) => error.message,
      );
    expect(await refuse({ token: "fedcba.0123456789abcdef" })).toContain("does not know the token fedcba");
    expect(await refuse({ token: "abcdef.ffffffffffffffff" })).toContain("is not signed with this token");
    expect(await refuse({ pins: [`sha256:${"0".repeat(64)}`] })).toContain("is not the one that was pinned");
    expect(await refuse({ pins: [] })).toContain("is not the one that was pinned");
    expect(await refuse({ endpoint: "127.0.0.1:1" })).toContain("cannot reach the API server at https://127.0.0.1:1");
  });

  test("a changed kubeconfig, and one that another token signed, are refused", async () => {
    const changed = await controlPlane((info) => {
      info.data["kubeconfig"] += "# changed\n";
    });
    await expect(discoverByToken(changed.options)).rejects.toThrow("is not signed with this token");
    const other = await controlPlane((info) => {
      const forged = clusterInfo(info.data["kubeconfig"]!, [
        { id: TOKEN.id, secret: "ffffffffffffffff" },
      ]) as typeof info;
      info.data["jws-kubeconfig-abcdef"] = forged.data["jws-kubeconfig-abcdef"]!;
    });
    await expect(discoverByToken(other.options)).rejects.toThrow("is not signed with this token");
  });

  test("a man in the middle who passes the real cluster-info on fails at his own certificate", async () => {
    const real = await controlPlane();
    const passed = clusterInfo(discoveryKubeconfig(real.double.server, real.double.ca), [TOKEN]);
    const proxy = await apiDouble((_request, response) => json(response, 200, passed), { anyClient: true });
    closing.push(proxy.close);
    const attempt = discoverByToken({ ...real.options, endpoint: proxy.server.slice("https://".length) });
    await expect(attempt).rejects.toThrow("is not the server it should be");
  });

  test("a control plane that changes its words between the two questions is refused", async () => {
    const { options } = await controlPlane((info, asked) => {
      if (asked === 2) info.data["kubeconfig"] = "other";
    });
    await expect(discoverByToken(options)).rejects.toThrow("gave another cluster-info");
  });

  test("without pins only when told so, and then the signature still counts", async () => {
    const { options } = await controlPlane();
    expect(await discoverByToken({ ...options, pins: [], unsafeSkipCaVerification: true })).toHaveProperty("ca");
    const stranger = await testCa();
    const swapped = await controlPlane((info) => {
      info.data["kubeconfig"] = discoveryKubeconfig("https://127.0.0.1:1", stranger.ca);
    });
    await expect(discoverByToken({ ...swapped.options, pins: [], unsafeSkipCaVerification: true })).rejects.toThrow(
      "is not signed with this token",
    );
  });
});

describe("discovery by file", () => {
  const file = join(mkdtempSync("/tmp/kubestick-discovery-"), "cluster.conf");
  const written = (server: string, ca: string, user: Parameters<typeof kubeconfig>[4]) => {
    writeFileSync(file, writeYaml(kubeconfig("kubernetes", "u", server, ca, user)));
    return file;
  };

  test("takes the file's word for the CA, and gives the server no secret", async () => {
    const { double, seen } = await controlPlane();
    const found = await discoverByFile(written(double.server, double.ca, { token: "t" }), 500);
    expect(found).toEqual({ server: double.server, ca: double.ca, client: { token: "t" } });
    expect(seen).toEqual([undefined]);
  });

  test("a server of another CA is refused before any secret leaves", async () => {
    const { double, seen } = await controlPlane();
    const other = await testCa();
    await expect(discoverByFile(written(double.server, other.ca, { token: "t" }), 500)).rejects.toThrow(/certificate/i);
    expect(seen).toEqual([]);
  });

  test("plain http, other schemes, and files that name this host's files are refused", async () => {
    for (const url of ["http://127.0.0.1/x", "ftp://127.0.0.1/x", "file:///etc/passwd"])
      await expect(discoverByFile(url, 500)).rejects.toThrow("is not had over https");
    const { double } = await controlPlane();
    const named = { certificateFile: "/etc/shadow", keyFile: "/etc/shadow" };
    await expect(discoverByFile(written(double.server, double.ca, named), 500)).rejects.toThrow(
      "names the file /etc/shadow",
    );
    await expect(discoverByFile("/none/such", 500)).rejects.toThrow("cannot read the discovery file");
  });

  test("what a trusted https site sends with another status than 200 is no discovery file", async () => {
    const ca = await testCa();
    let status = 404;
    const file = writeYaml(kubeconfig("kubernetes", "u", "https://127.0.0.1:1", ca.ca, { token: "t" }));
    const site = await apiDouble((_, response) => void response.writeHead(status).end(file), { anyClient: true });
    closing.push(site.close);
    const dir = mkdtempSync("/tmp/kubestick-site-");
    writeFileSync(join(dir, "ca.crt"), site.ca);
    // Which authorities a program trusts besides is settled when it begins.
    const module = join(import.meta.dir, "../../lib/bootstrap/discovery-file.ts");
    const script = `const { discoverByFile } = await import(${JSON.stringify(module)});
console.log(await discoverByFile("${site.server}/c", 1_000).then(({ server }) => server, ({ message }) => message));`;
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(dir, "ca.crt") };
    const ask = async () =>
      new Response(Bun.spawn([process.execPath, "-e", script], { env, stdout: "pipe" }).stdout).text();
    expect(await ask()).toBe(`cannot get the discovery file ${site.server}/c: status 404\n`);
    status = 200;
    // Now it is read, and leads to an API server that is not there.
    expect(await ask()).toContain("https://127.0.0.1:1");
  });

  test("an https site that this host does not trust is refused", async () => {
    const { double } = await controlPlane();
    await expect(discoverByFile(`${double.server}/cluster.conf`, 2_000)).rejects.toThrow(
      "cannot get the discovery file",
    );
  });
});

describe("a clock that is too wrong for TLS", () => {
  const future = Math.floor(Date.now() / 1000) * 1000 + 2 * CERTIFICATE_BACKDATE;

  test("is explained with both times, and set to the proven control plane's where that is allowed", async () => {
    const { options, double } = await controlPlane(undefined, future);
    await expect(discoverByToken(options)).rejects.toThrow(
      `the control plane's ${new Date(future + 60_000).toISOString()}: certificates are not valid`,
    );
    const asked: ClockSkew[] = [];
    const setClock = (skew: ClockSkew) => asked.push(skew) > 0;
    // The test's own clock stays as it is, so the second look fails in the same way.
    await expect(discoverByToken({ ...options, setClock })).rejects.toThrow(/not.yet.valid/i);
    expect(asked).toEqual([
      { serverTime: new Date(future + 60_000), caNotBefore: new Date(future - CERTIFICATE_BACKDATE) },
    ]);
    const shown = await verifiedTime(double.server.slice("https://".length), double.ca, 5_000);
    expect([shown.time, certificatePem(shown.authority)]).toEqual([new Date(future + 60_000), double.ca]);
  });

  test("is not set by a server that the cluster's CA does not vouch for", async () => {
    const { double } = await controlPlane(undefined, future);
    const other = await testCa("kubernetes", future);
    await expect(verifiedTime(double.server.slice("https://".length), other.ca, 5_000)).rejects.toThrow(
      "is not the server it should be",
    );
  });
});
