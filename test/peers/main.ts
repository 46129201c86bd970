// Kubernetes' own test suites as judges of clusters that kubestick makes: `npm run test:peers [kubeadm|conformance [words]]`.
import { hasBinary, missingForCluster } from "../support/binaries.ts";
import { conformance } from "./conformance.ts";
import { missingPackages } from "./images.ts";
import { kubeadmSuite } from "./kubeadm-suite.ts";

interface Suite {
  name: string;
  binaries: string[];
  /** The Debian packages that it needs and this machine lacks. */
  packages?: () => string[];
  run: (words?: string) => Promise<number>;
}

const SUITES: Suite[] = [
  { name: "kubeadm", binaries: ["e2e_kubeadm.test"], run: kubeadmSuite },
  {
    name: "conformance",
    binaries: ["e2e.test", "ginkgo", "agnhost", "coredns"],
    packages: missingPackages,
    run: conformance,
  },
];

const [wanted, words] = process.argv.slice(2);
if (wanted && !SUITES.some(({ name }) => name === wanted)) {
  console.error(
    `error: there is no suite ${wanted}\nwhat to do: name one of ${SUITES.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}
let failed = 0;
for (const { name, binaries, packages, run } of SUITES) {
  if (wanted && wanted !== name) continue;
  const lacking = [...binaries.filter((file) => !hasBinary(file)), ...(packages?.() ?? []).map((p) => `Debian's ${p}`)];
  const missing = missingForCluster() ?? (lacking.length > 0 ? `${lacking.join(", ")} not there` : undefined);
  if (missing) console.log(`${name}: skipped, because ${missing}`);
  else failed += await run(words);
}
process.exitCode = failed > 0 ? 1 : 0;
