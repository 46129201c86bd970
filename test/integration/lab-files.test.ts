import { afterEach, beforeEach, expect, test } from "bun:test";
import * as fs from "node:fs";
import { Sandbox } from "../support/bare-sandbox.ts";

const LAB = "/var/lib/kubestick-lab/sbx";

let host: Sandbox;
beforeEach(async () => {
  host = await Sandbox.make();
  host.must(`mkdir -p ${LAB}/sbx-1/etc /srv/data; echo precious >/srv/data/file`);
  const plan = { name: "sbx", nodes: 1, controlPlanes: 1, subnet: "10.250.0.0/24" };
  fs.writeFileSync(host.path(`${LAB}/lab.json`), JSON.stringify(plan));
});
afterEach(() => host.end());

const down = () => host.kubestick(["lab", "down", "--name", "sbx"]);

test("lab down crosses no mount and follows no link, and says what stays", () => {
  host.must(
    `mkdir ${LAB}/sbx-1/etc/data; mount --bind /srv/data ${LAB}/sbx-1/etc/data; ln -s /srv/data ${LAB}/sbx-1/link`,
  );
  const out = down();
  expect({ status: out.status, stderr: out.stderr }).toEqual({
    status: 1,
    stderr: `error: ${LAB}/sbx-1 is not all removed:\n  ${LAB}/sbx-1/etc/data: something is mounted on it\nwhat to do: unmount what is mounted there (umount PATH), then run the same command again\n`,
  });
  host.must(`umount ${LAB}/sbx-1/etc/data`);
  expect(down()).toMatchObject({ status: 0, stderr: "" });
  expect(host.sh(`ls -A ${LAB}/..`).stdout).toBe("");
  expect(host.read("/srv/data/file")).toBe("precious\n");
});

test("a lab that another user put in its place in a shared directory is not touched", () => {
  host.must(`mkdir -m 1777 /srv/labs; cp -a ${LAB} /srv/labs/; chown 1000 /srv/labs/sbx`);
  const out = host.kubestick(["lab", "down", "--name", "sbx", "--dir", "/srv/labs"]);
  expect({ status: out.status, stderr: out.stderr }).toEqual({
    status: 1,
    stderr: expect.stringContaining("error: /srv/labs/sbx cannot be used: it belongs to another user (1000)"),
  });
  expect(host.sh("ls /srv/labs/sbx").stdout).toBe("lab.json\nsbx-1\n");
});

test("what a node hides is only what its overlays hold, not what a link leads to", async () => {
  host.must(
    "mkdir -p /srv/local/bin; touch /srv/local/bin/kubelet /srv/local/bin/kubestick; mkdir -p /opt/cni/bin; ln -s /srv/local /opt/linked",
  );
  const node = `import { NamespaceNode } from "${import.meta.dir}/../../lib/lab/node.ts";
    const spec = { name: "hide", address: "10.250.0.2/24", bridge: "br-hide", link: "ksl-hide", dir: "/mnt/hide", hosts: "", resolvConf: "", hidden: ["opt/cni", "opt/linked/bin/kube[!s]*", "opt/none/x"] };
    const node = new NamespaceNode(spec);
    await node.up();
    console.log(node.exec(["sh", "-c", "ls /opt /srv/local/bin"], {}, 10000).stdout);
    await node.down();`;
  host.must("ip link add br-hide type bridge");
  fs.writeFileSync(host.path("/run/node.ts"), node);
  const out = host.sh(`${process.execPath} /run/node.ts`);
  expect({ ...out, stdout: out.stdout.replaceAll("\n", " ") }).toMatchObject({ status: 0, stderr: "" });
  expect(out.stdout).not.toContain("cni");
  expect(out.stdout).toContain("linked\n");
  expect(out.stdout).toContain("kubelet\nkubestick\n");
  expect(host.must("ls /srv/local/bin /opt/cni")).toBe("/opt/cni:\nbin\n\n/srv/local/bin:\nkubelet\nkubestick\n");
});
