import { binary } from "../support/binaries.ts";
import { KUBESTICK } from "../support/cluster.ts";
import { SuiteCluster } from "./cluster.ts";
import { report, runSuite, type SuiteResult } from "./suite.ts";

/** What kubeadm's own suite says to leave out where there is one node only, and where no certificates were uploaded. */
const ONE_NODE = String.raw`\[multi-node\]`;
const NO_CERTIFICATES = String.raw`\[copy-certs\]`;

/** Runs kubeadm's end-to-end suite (test/e2e_kubeadm of Kubernetes) as a cluster of kubestick's grows. Gives how many tests failed. */
export async function kubeadmSuite(): Promise<number> {
  const cluster = new SuiteCluster("pk");
  const results: SuiteResult[] = [];
  const run = async (title: string, skip: string[]) => {
    await cluster.settled();
    const leaveOut = skip.length > 0 ? [`--ginkgo.skip=${skip.join("|")}`] : [];
    const flags = ["--kubeconfig=/etc/kubernetes/admin.conf", "--ginkgo.no-color", ...leaveOut];
    const result = await runSuite(cluster.first, `e2e_kubeadm ${title}`, [binary("e2e_kubeadm.test"), ...flags]);
    report(`e2e_kubeadm ${title}`, result);
    results.push(result);
  };
  try {
    await cluster.init();
    await run("after init", [ONE_NODE, NO_CERTIFICATES]);
    await cluster.join();
    await run("after a join", [NO_CERTIFICATES]);
    const upload = [...KUBESTICK, "init", "phase", "upload-certs", "--upload-certs"];
    const { stdout } = cluster.first.exec([...upload, "--config=/etc/kubernetes/kubestick.yaml"], 120_000, true);
    await run("with uploaded certificates", []);
    await cluster.join(/\b[0-9a-f]{64}\b/.exec(stdout)![0]);
    await run("after a control plane joined", []);
  } finally {
    await cluster.down();
  }
  return results.reduce((sum, { failed }) => sum + failed, 0);
}
