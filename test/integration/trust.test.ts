import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { ConnectError } from "../../lib/api/errors.ts";
import { EtcdClient } from "../../lib/etcd/client.ts";
import { tryRunAside } from "../../lib/host/process.ts";
import { kubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import { writeYaml } from "../../lib/yaml/write.ts";
import { type Forged, forged, type Party } from "../support/forge.ts";

const work = mkdtempSync(join(tmpdir(), "kubestick-trust-"));
afterAll(() => rmSync(work, { recursive: true }));

/** Rounds of the comparison with kubectl; more by hand. */
const ROUNDS = Number(process.env["KUBESTICK_TRUST_ROUNDS"] ?? 40);

const CA: Forged = { basic: { ca: true }, keyUsage: 0x06 };
const SERVER: Forged = { extKeyUsage: ["server"], ip: ["127.0.0.1"], dns: ["localhost"], keyUsage: 0x80, basic: {} };
const hours = (n: number) => new Date(Date.now() + n * 3_600_000);
const root = forged({ ...CA, subject: "root" });
const between = forged({ ...CA, subject: "between" }, root);

interface Trial {
  /** What the server shows, its own certificate first. */
  shown: Party[];
  /** What is in the kubeconfig. */
  trusted: Party[];
  /** The name it is called by. */
  host?: string;
}

/** Runs a server with a chain, and gives what came of asking it. */
async function serving<T>({ shown, host = "127.0.0.1" }: Trial, ask: (server: string) => Promise<T>): Promise<T> {
  const chain = { cert: shown.map(({ cert }) => cert).join(""), key: shown[0]!.keyPem };
  const server = https.createServer(chain, (request, response) =>
    response.end(request.url?.startsWith("/v3/") ? '{"members":[]}' : '{"metadata":{"name":"n"}}'),
  );
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  try {
    return await ask(`https://${host}:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const pemOf = (parties: Party[]) => parties.map(({ cert }) => cert).join("");

/** `trusted`, or the code or words of the refusal. */
async function verdict(trial: Trial): Promise<string> {
  return serving(trial, async (server) => {
    const client = new ApiClient({ server, ca: pemOf(trial.trusted) }, { callTimeoutMs: 3_000 });
    try {
      await client.get("v1", "Node", "n");
      return "trusted";
    } catch (error) {
      if (!(error instanceof ConnectError) || error.passing) throw error;
      return `${error.failure}: ${error.message}`;
    } finally {
      await client.close();
    }
  });
}

describe("a server is trusted for the CA of a kubeconfig as Go has it", () => {
  const good: Record<string, Trial> = {
    "a self-signed CA": { shown: [forged(SERVER, root)], trusted: [root] },
    "an intermediate alone": { shown: [forged(SERVER, between)], trusted: [between] },
    "an intermediate, its root behind it": { shown: [forged(SERVER, between)], trusted: [between, root] },
    "a root, the intermediate sent by the server": { shown: [forged(SERVER, between), between], trusted: [root] },
    "an intermediate, all of it sent": { shown: [forged(SERVER, between), between, root], trusted: [between] },
    "two intermediates, the upper one trusted": (() => {
      const low = forged({ ...CA, subject: "low" }, between);
      return { shown: [forged(SERVER, low), low], trusted: [between] };
    })(),
    "one of several CAs": { shown: [forged(SERVER, between)], trusted: [forged({ ...CA, subject: "other" }), between] },
    ...Object.fromEntries(
      [0, 1, 2].map((which) => {
        const same = [0, 1, 2].map(() => forged({ ...CA, subject: "renewed" }));
        return [
          `one of three CAs of one name, the ${which + 1}.`,
          { shown: [forged(SERVER, same[which]!)], trusted: same },
        ];
      }),
    ),
    "one of two of one name, the other expired": (() => {
      const past = forged({ ...CA, subject: "renewed", from: hours(-48), to: hours(-24) });
      const now = forged({ ...CA, subject: "renewed" });
      return { shown: [forged(SERVER, now)], trusted: [past, now] };
    })(),
    "a certificate without usages": { shown: [forged({ ...SERVER, extKeyUsage: undefined }, root)], trusted: [root] },
    RSA: (() => {
      const ca = forged({ ...CA, subject: "rsa" }, undefined, 2048);
      return { shown: [forged(SERVER, ca, 2048)], trusted: [ca] };
    })(),
    "P-521 and SHA-512": (() => {
      const ca = forged({ ...CA, subject: "p521" }, undefined, "P-521");
      return { shown: [forged({ ...SERVER, hash: "sha512" }, ca, "P-384")], trusted: [ca] };
    })(),
    "a CA whose own signature is SHA-1": (() => {
      const ca = forged({ ...CA, subject: "old", hash: "sha1" });
      return { shown: [forged(SERVER, ca)], trusted: [ca] };
    })(),
    "a name": { shown: [forged(SERVER, between)], trusted: [between], host: "localhost" },
    "a name within the CA's constraints": (() => {
      const ca = forged({ ...CA, subject: "tied", permitted: ["localhost"] }, root);
      return { shown: [forged({ ...SERVER, ip: [] }, ca)], trusted: [ca], host: "localhost" };
    })(),
  };
  for (const [name, trial] of Object.entries(good))
    test(name, async () => expect(await verdict(trial)).toBe("trusted"));
});

describe("and refused at once", () => {
  const rsa = forged({ ...CA, subject: "rsa" }, undefined, 2048);
  const by = (ca: Party, content: Forged = SERVER, key?: Parameters<typeof forged>[2]): Trial => ({
    shown: [forged(content, ca, key)],
    trusted: [ca],
  });
  const anchor = (content: Forged, key?: Parameters<typeof forged>[2]) =>
    by(forged({ subject: "between", ...content }, root, key));
  const under = (content: Forged): Trial => {
    const sub = forged({ ...content, subject: "sub" }, between);
    return { shown: [forged(SERVER, sub), sub], trusted: [between] };
  };
  const cases: Record<string, [Trial, RegExp]> = {
    "signed by another key with the CA's name": [
      { shown: [forged(SERVER, { subject: "between", key: root.key })], trusted: [between] },
      /^identity: .*CERT_SIGNATURE_FAILURE/,
    ],
    "signed by a CA that is not trusted": [{ shown: [forged(SERVER, between)], trusted: [rsa] }, /^identity/],
    "of the root, when the intermediate is trusted": [
      { shown: [forged(SERVER, root)], trusted: [between] },
      /^identity/,
    ],
    "with a made-up signature": [by(between, { ...SERVER, signature: Buffer.alloc(70, 1) }), /^identity/],
    "for clients": [by(between, { ...SERVER, extKeyUsage: ["client"] }), /^identity: .*PURPOSE/],
    "for another address": [by(between, { ...SERVER, ip: ["127.0.0.2"] }), /^identity: .*ALTNAME/],
    "for the address as a name": [by(between, { ...SERVER, ip: [], dns: ["127.0.0.1"] }), /^identity: .*ALTNAME/],
    "named in its common name alone": [
      { ...by(between, { ...SERVER, subject: "localhost", ip: [], dns: [] }), host: "localhost" },
      /^identity: .*ALTNAME/,
    ],
    expired: [by(between, { ...SERVER, from: hours(-48), to: hours(-24) }), /^clock/],
    "not valid yet": [by(between, { ...SERVER, from: hours(24), to: hours(48) }), /^clock/],
    "of an intermediate that has expired": [anchor({ ...CA, from: hours(-48), to: hours(-24) }), /^clock/],
    "of a root that has expired": [by(forged({ ...CA, subject: "past", from: hours(-48), to: hours(-24) })), /^clock/],
    "of an anchor that is no CA": [anchor({ basic: {}, keyUsage: 0x06 }), /^identity/],
    "of an anchor without basicConstraints": [anchor({ keyUsage: 0x06 }), /^identity/],
    "of an anchor that may not sign": [anchor({ basic: { ca: true }, keyUsage: 0x80 }), /^identity/],
    "of an anchor for clients": [anchor({ ...CA, extKeyUsage: ["client"] }), /^identity/],
    "by way of a certificate that is no CA": [under({ basic: {}, keyUsage: 0x06 }), /^identity/],
    "by way of one without basicConstraints": [under({ keyUsage: 0x06 }), /^identity/],
    "by way of a CA for clients": [under({ ...CA, extKeyUsage: ["client"] }), /^identity/],
    "by way of a weakly signed CA": [
      under({ ...CA, hash: "sha1" }),
      /^identity: .*"sub" is signed with ecdsa-with-SHA1/,
    ],
    "below an anchor that allows no CA below it": [
      (() => {
        const short = forged({ ...CA, subject: "short", basic: { ca: true, pathLength: 0 } }, root);
        const sub = forged({ ...CA, subject: "sub" }, short);
        return { shown: [forged(SERVER, sub), sub], trusted: [short] };
      })(),
      /^identity: .*PATH_LENGTH/,
    ],
    "outside the anchor's name constraints": [
      { ...anchor({ ...CA, permitted: ["example.test"] }), host: "localhost" },
      /^identity/,
    ],
    "with a critical extension that nobody knows": [by(between, { ...SERVER, unknownCritical: true }), /^identity/],
    "signed with SHA-1": [by(rsa, { ...SERVER, hash: "sha1" }), /^identity: .*signed with sha1WithRSAEncryption/],
    "signed with MD5": [by(rsa, { ...SERVER, hash: "md5" }), /^identity/],
    "of a CA with RSA of 512 bits": [
      by(forged({ ...CA, subject: "tiny" }, undefined, 512)),
      /^identity: .*"tiny" is RSA with 512 bits/,
    ],
    "of a CA on P-224": [by(forged({ ...CA, subject: "p224" }, undefined, "P-224")), /^identity: .*curve secp224r1/],
  };
  for (const [name, [trial, said]] of Object.entries(cases))
    test(`a certificate ${name}`, async () => expect(await verdict(trial)).toMatch(said));
});

test("etcd's client goes by the same rules", async () => {
  const user = forged({ subject: "client", extKeyUsage: ["client"] }, between);
  const list = (trial: Trial) =>
    serving(trial, async (server) => {
      const tls = { ca: pemOf(trial.trusted), certificate: user.cert, key: user.keyPem };
      const members = new EtcdClient([server], tls);
      return members.list().finally(() => members.close());
    });
  expect(await list({ shown: [forged(SERVER, between)], trusted: [between] })).toEqual([]);
  await expect(list({ shown: [forged({ ...SERVER, hash: "sha1" }, between)], trusted: [between] })).rejects.toThrow(
    "no member of etcd answers",
  );
});

test("etcd's client says so where its own files are not there or damaged", async () => {
  await serving({ shown: [forged(SERVER, between)], trusted: [between] }, async (server) => {
    const good = { ca: between.cert, certificate: between.cert, key: between.keyPem };
    const bad = [{ ca: "" }, { ca: "words" }, { certificate: "words" }, { key: "words" }, { key: root.keyPem }];
    for (const damaged of bad) {
      const members = new EtcdClient([server], { ...good, ...damaged });
      await expect(members.list()).rejects.toThrow("no member of etcd answers");
      await members.close();
    }
  });
});

test(`whatever is trusted, kubectl trusts: ${ROUNDS} chains of random make`, async () => {
  const pick = <T>(...choices: T[]): T => choices[Math.floor(Math.random() * choices.length)]!;
  const rarely = () => Math.random() < 0.12;
  const bent = (content: Forged): Forged => ({
    ...content,
    ...(rarely() ? { basic: pick(undefined, {}, { ca: true }, { ca: true, pathLength: 0 }) } : {}),
    ...(rarely() ? { keyUsage: pick(undefined, 0x80, 0x04, 0x06) } : {}),
    ...(rarely()
      ? { extKeyUsage: pick<Forged["extKeyUsage"]>(undefined, ["client"], ["server"], ["client", "server"]) }
      : {}),
    ...(rarely() ? { hash: pick("sha1", "sha384") } : {}),
    ...(rarely() ? { to: pick(hours(-1), hours(1)), from: pick(hours(-2), hours(1)) } : {}),
    ...(rarely() ? { permitted: [pick("localhost", "example.test")] } : {}),
  });
  const random = (): Trial => {
    const chain = [forged(bent({ ...CA, subject: "r0" }))];
    for (let i = 1; i <= pick(0, 1, 2); i++)
      chain.unshift(forged(bent({ ...CA, subject: pick(`r${i}`, "r0") }), chain[0]!));
    const signer = rarely() ? { subject: chain[0]!.subject, key: root.key } : chain[0]!;
    const named = rarely() ? { dns: [], subject: "localhost" } : {};
    // A server does not even start with a key that may not sign its handshakes.
    const leaf = forged({ ...bent({ ...SERVER, ...named }), keyUsage: 0x80 }, signer);
    const shown = [leaf, ...chain.filter(() => Math.random() < 0.7)];
    const trusted = chain.filter(() => Math.random() < 0.6);
    return {
      shown,
      trusted: trusted.length > 0 ? trusted : [pick(leaf, ...chain)],
      host: pick("127.0.0.1", "localhost"),
    };
  };
  const file = join(work, "kubeconfig");
  let trusted = 0;
  const weaker: unknown[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const trial = random();
    if ((await verdict(trial)) !== "trusted") continue;
    trusted++;
    const out = await serving(trial, async (server) => {
      writeFileSync(file, writeYaml(kubeconfig("c", "u", server, pemOf(trial.trusted), { token: "t" })));
      return tryRunAside("kubectl", ["--kubeconfig", file, "get", "--raw", "/x"]);
    });
    if (out.status !== 0) weaker.push({ stderr: out.stderr, shown: pemOf(trial.shown), trusted: pemOf(trial.trusted) });
  }
  expect(weaker).toEqual([]);
  expect(trusted).toBeGreaterThan(ROUNDS / 20);
});
