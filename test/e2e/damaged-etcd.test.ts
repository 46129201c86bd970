import { afterAll, beforeAll, expect, test } from "bun:test";
import { initCommand } from "../support/cluster.ts";
import { expectDone } from "../support/done.ts";
import { TestNode } from "../support/node.ts";

const node = new TestNode("de1");
const MEMBER = "/var/lib/etcd/member";
const namespaces = () => node.kubectl("get", "namespaces", "-o", "name").trim().split("\n");
/** What a power cut leaves: nothing of the node runs any more, and its disk is as it was. */
function pullThePlug(): void {
  node.exec(["bash", "-c", "kill -9 $(cat /run/kubestick/*.pid); pkill -9 -x 'kubelet|containerd-shim|etcd|kube-.*'"]);
}

beforeAll(async () => {
  await node.up();
  expectDone(node.exec(initCommand(node), 300_000));
  node.kubectl("create", "namespace", "kept");
  pullThePlug();
  node.exec(["cp", "-a", MEMBER, "/var/lib/etcd-kept"], 20_000, true);
});
afterAll(() => node.down());

for (const [what, script, words] of [
  [
    "whose log holds other bytes than were written",
    "dd if=/dev/urandom of=$(ls wal/*.wal | tail -1) bs=1 seek=40000 count=4000 conv=notrunc",
    "its write-ahead log is damaged",
  ],
  ["whose database is cut off", "truncate -s 20000 snap/db", "its database is damaged"],
] as const)
  test(`init on an etcd ${what} says so at once, and deletes nothing`, () => {
    node.exec(
      ["bash", "-ec", `rm -rf ${MEMBER}; cp -a /var/lib/etcd-kept ${MEMBER}; cd ${MEMBER}; ${script}`],
      20_000,
      true,
    );
    const out = node.exec(initCommand(node), 200_000);
    expect([out.status, out.stderr]).toEqual([
      1,
      expect.stringContaining(`etcd cannot use its data in /var/lib/etcd: ${words}`),
    ]);
    expect(out.stderr).toContain("what to do: nothing was deleted. Keep a copy of /var/lib/etcd first");
    expect(out.stderr).not.toContain("\n    at ");
    pullThePlug();
  });

test("init on an etcd that found nothing, and made a new cluster, refuses to go on with that one", () => {
  node.exec(["rm", "-rf", MEMBER], 20_000, true);
  const out = node.exec(initCommand(node), 200_000);
  expect([out.status, out.stderr]).toEqual([
    1,
    expect.stringContaining("serves another cluster than the one made here"),
  ]);
  expect(out.stderr).toContain("what was in /var/lib/etcd is lost");
  pullThePlug();
});

test("with the data put back, init ends in the same cluster", () => {
  node.exec(["bash", "-ec", `rm -rf ${MEMBER}; cp -a /var/lib/etcd-kept ${MEMBER}`], 20_000, true);
  expectDone(node.exec(initCommand(node), 300_000));
  expect(namespaces()).toContain("namespace/kept");
});
