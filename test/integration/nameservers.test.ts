import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { corefile } from "../../lib/addons/coredns.ts";
import { ownResolvConf, parseResolvConf, podResolvConf } from "../../lib/host/resolv-conf.ts";
import { E2E_BIN } from "../support/binaries.ts";
import { runInSandbox } from "../support/sandbox.ts";

const COREDNS = join(E2E_BIN, "coredns");
const work = fs.mkdtempSync(join(tmpdir(), "kubestick-dns-"));
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

/** CoreDNS ends where it forwards to itself: its plugin `loop` asks for a name of its own and sees it come back. */
async function endsInLoop(resolvConf: string, forward: boolean): Promise<boolean> {
  const own = fs.mkdtempSync(join(work, "host-"));
  // Without the plugin that needs an API server.
  const text = corefile("cluster.local", forward).replace(/ {4}kubernetes [^}]*\}\n/, "");
  const script = `printf %s "$1" >/etc/resolv.conf; printf %s "$2" >Corefile; timeout 8 "$3" -conf Corefile; echo "ended with $?"`;
  const { stdout } = await runInSandbox(own, ["sh", "-c", `(${script}) 2>&1`, "sh", resolvConf, text, COREDNS]);
  const loop = /plugin\/loop: Loop/.test(stdout);
  // What it was still doing when the time was up had no loop (timeout(1): 124).
  expect(stdout).toMatch(loop ? /ended with 1\n/ : /ended with 124\n/);
  return loop;
}

const root = process.getuid?.() === 0;

test.skipIf(!root || !fs.existsSync(COREDNS))(
  "CoreDNS asks itself with these hosts' resolv.conf, and not with what it is given instead",
  async () => {
    const found = await Promise.all(
      ["127.0.0.1\nnameserver 192.0.2.53", "0.0.0.0", "::", "::ffff:127.0.0.1"].map(async (first) => {
        const text = `nameserver ${first}\n`;
        const confs = [parseResolvConf("/etc/resolv.conf", text)];
        const { nameservers } = podResolvConf(confs, ["10.96.0.10"]);
        const given = ownResolvConf(confs, ["10.96.0.10"]);
        const [before, after] = [endsInLoop(text, true), endsInLoop(given, nameservers.length > 0)];
        return { first, before: await before, after: await after };
      }),
    );
    expect(found).toEqual(found.map(({ first }) => ({ first, before: true, after: false })));
  },
);
