import { availableParallelism } from "node:os";
import { binary } from "../support/binaries.ts";
import { PEERS_WORK, SuiteCluster } from "./cluster.ts";
import { testImages } from "./images.ts";
import { report, runSuite } from "./suite.ts";

/** Tests wait more than they work. */
const TESTS_PER_PROCESSOR = 2;
/** The whole takes an hour on two processors. */
const TIMEOUT = "150m";

/** What no image that is there already can do: these pull from a registry, and the nodes reach none. */
const NEED_A_REGISTRY = ["ImageVolume should succeed with pod and pull policy of Always"];

/** Runs Kubernetes' conformance tests on a control plane and two workers of kubestick's, or those whose name has some words. Gives how many failed. */
export async function conformance(words = ""): Promise<number> {
  const { tar, leftOut } = testImages(PEERS_WORK);
  for (const { image, lacks, tests } of leftOut)
    console.log(
      `left out for want of ${image} (no ${lacks} here): tests with ${tests.map((t) => `"${t}"`).join(", ")}`,
    );
  for (const name of NEED_A_REGISTRY) console.log(`left out for want of a registry: ${name}`);
  const cluster = new SuiteCluster("pc");
  try {
    await cluster.init();
    for (let i = 0; i < 2; i++) await cluster.join();
    cluster.importImages(tar);
    await cluster.settled();
    const skip = [...NEED_A_REGISTRY, ...leftOut.flatMap(({ tests }) => tests)].map((text) => RegExp.escape(text));
    const ginkgo = [
      `--procs=${availableParallelism() * TESTS_PER_PROCESSOR}`,
      `--timeout=${TIMEOUT}`,
      "--no-color",
      `--focus=${words}.*\\[Conformance\\]`,
      ...(skip.length > 0 ? [`--skip=${skip.join("|")}`] : []),
    ];
    const suite = ["--kubeconfig=/etc/kubernetes/admin.conf", "--provider=local", "--disable-log-dump"];
    const result = await runSuite(cluster.first, "conformance", [
      binary("ginkgo"),
      ...ginkgo,
      binary("e2e.test"),
      "--",
      ...suite,
    ]);
    report("conformance", result);
    return result.failed;
  } finally {
    await cluster.down();
  }
}
