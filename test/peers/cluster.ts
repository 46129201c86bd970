import { ignoredChecks, initWith, joinWith } from "../support/cluster.ts";
import { TestNode, until, WORK } from "../support/node.ts";

const ENDPOINT = "cluster.test:6443";

/** A cluster that kubestick makes for a suite: one control plane at first. */
export class SuiteCluster {
  readonly first: TestNode;
  readonly #nodes: TestNode[];
  #pin = "";

  constructor(readonly name: string) {
    this.first = new TestNode(`${name}1`);
    this.#nodes = [this.first];
  }

  /** Runs init, with more flags. */
  async init(...flags: string[]): Promise<this> {
    await this.first.up({ hosts: `${this.first.ip} cluster.test\n`, cni: false });
    const { stdout } = this.first.exec(
      initWith(this.first, `controlPlaneEndpoint: ${ENDPOINT}\n`, ...flags),
      300_000,
      true,
    );
    this.#pin = /sha256:[0-9a-f]{64}/.exec(stdout)![0];
    return this;
  }

  /** Joins another node, as a control plane when a certificate key is given. */
  async join(certificateKey?: string): Promise<TestNode> {
    const node = new TestNode(`${this.name}${this.#nodes.length + 1}`);
    this.#nodes.push(node);
    await node.up({ hosts: `${this.first.ip} cluster.test\n`, cni: false });
    const plane = `controlPlane: {localAPIEndpoint: {advertiseAddress: ${node.ip}}, certificateKey: "${certificateKey}"}\n`;
    const to = { endpoint: ENDPOINT, pin: this.#pin, registration: "  imagePullPolicy: Never\n" };
    const command = joinWith(node, { ...to, ...(certificateKey ? { extra: plane } : {}) }, ...ignoredChecks());
    node.exec(command, 300_000, true);
    return node;
  }

  /** Waits until every node is Ready and CoreDNS runs. */
  async settled(): Promise<void> {
    const lines = (...args: string[]) =>
      this.first
        .kubectl("get", ...args, "--no-headers")
        .trim()
        .split("\n");
    const ready = () =>
      lines("nodes").filter((line) => /\sReady\s/.test(line)).length === this.#nodes.length &&
      lines("pods", "-A").every((line) => /(\d+)\/\1\s+Running/.test(line));
    await until(ready, 240_000, () => `every node and pod is ready:\n${this.first.kubectl("get", "nodes,pods", "-A")}`);
  }

  /** Imports images from a tar of this machine into every node. */
  importImages(tar: string): void {
    for (const node of this.#nodes) node.exec(["ctr", "-n", "k8s.io", "images", "import", tar], 300_000, true);
  }

  /** Ends every node. */
  async down(): Promise<void> {
    for (const node of this.#nodes) await node.down();
  }
}

/** Where suites keep what they make. */
export const PEERS_WORK = `${WORK}/peers`;
