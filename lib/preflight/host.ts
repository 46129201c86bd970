import { BUILD_DATE } from "../constants/versions.ts";
import type { Node } from "../edge/node.ts";
import { getSysctl } from "../host/kernel.ts";
import { readSystemFile } from "../host/system-files.ts";
import { isDnsSubdomain } from "../net/ip.ts";
import { BUNDLE_CHECKS, brings } from "./bundle.ts";
import { type Check, error, type Finding, warning } from "./check.ts";
import { CONTAINERD_CHECKS } from "./containerd.ts";
import { verifyKernel } from "./kernel.ts";
import { type Listening, listeners } from "./ports.ts";
import { proxiedAddresses } from "./proxy.ts";
import { verifySelinux } from "./security.ts";

/** The checks that every node must pass, control plane or worker (kubeadm preflight/checks.go), and kubestick's own Clock. */
export const HOST_CHECKS: Check<Node>[] = [
  {
    name: "IsPrivilegedUser",
    why: "services, mounts and /etc/kubernetes are root's",
    run: ({ facts }) => (facts.root ? [] : error("this is not root", "run the same command with sudo")),
  },
  {
    name: "Clock",
    why: "certificates made with a clock in the past are not valid anywhere else; boards often have no battery clock",
    run: ({ facts }) =>
      facts.now.getTime() >= Date.parse(BUILD_DATE)
        ? []
        : error(
            `the clock says ${facts.now.toISOString()}, which is before kubestick was built (${BUILD_DATE.slice(0, 10)})`,
            'set it: date -u -s "YYYY-MM-DD HH:MM:SS"',
          ),
  },
  { name: "Hostname", why: "the node's name becomes an object's name", run: checkHostname },
  {
    name: "SystemVerification",
    why: "containers need these kernel parts",
    run: ({ facts }) => verifyKernel(facts),
  },
  {
    name: "SELinux",
    why: "a policy that knows no containers denies them their files",
    run: ({ facts }) => verifySelinux(facts.security),
  },
  forwardingCheck(4, "net.ipv4.ip_forward"),
  forwardingCheck(6, "net.ipv6.conf.default.forwarding"),
  {
    name: "HTTPProxy",
    why: "a proxy between the nodes breaks the cluster's TLS",
    run: ({ facts, environment }) =>
      proxiedAddresses(
        facts.addresses.map(({ address }) => address),
        environment,
      ),
  },
  {
    name: "CRI",
    why: "the kubelet runs containers through it",
    run: async ({ cri, bundle, facts }) => {
      if (!brings(bundle, facts.arch, "containerd")) await cri.mustAnswer();
      return [];
    },
  },
  {
    name: "ContainerRuntimeVersion",
    why: "from v1.38 on a kubelet asks the runtime for its cgroup driver, and does not start where it gets no answer",
    run: async ({ cri, bundle, facts }) => {
      if (brings(bundle, facts.arch, "containerd")) return [];
      // One that does not answer is told by the check CRI.
      if (await cri.hasRuntimeConfig().catch(() => true)) return [];
      return warning(
        "the container runtime does not tell its cgroup driver (CRI RuntimeConfig), and a kubelet of v1.38 will want it",
        "have containerd 2.0 or newer before you upgrade that far",
      );
    },
  },
  ...BUNDLE_CHECKS,
  ...CONTAINERD_CHECKS,
];

function forwardingCheck(family: 4 | 6, sysctl: string): Check<Node> {
  const path = `/proc/sys/${sysctl.replaceAll(".", "/")}`;
  return {
    name: `FileContent-${path.replaceAll("/", "-")}`,
    why: "pods reach each other through this host",
    // The bundle's phase sets it.
    run: ({ families, bundle }) =>
      bundle || !families.includes(family) || getSysctl(sysctl) === "1"
        ? []
        : error(
            `${path} is not 1`,
            `sysctl -w ${sysctl}=1, and to keep it: echo '${sysctl} = 1' > /etc/sysctl.d/99-kubernetes.conf`,
          ),
  };
}

/** An error for a port that programs other than `own` listen on, under kubeadm's name for the check. */
export function foreignListeners(wanted: Listening, own: string[]): Finding[] {
  const { port } = wanted;
  const foreign = listeners(wanted).filter((name) => !own.includes(name));
  if (foreign.length === 0) return [];
  const found = error(`port ${port} is in use by ${foreign.join(", ")}`, `see: ss -ltnp 'sport = :${port}'`);
  return found.map((finding) => ({ ...finding, name: `Port-${port}` }));
}

function checkHostname({ name, facts }: Node): Finding[] {
  if (!isDnsSubdomain(name))
    return error(`the node name ${JSON.stringify(name)} is not a lower case host name`, "give one with --node-name");
  if (/^localhost(\.|$)/.test(name))
    return warning(
      `this node is called ${name}, as every board is that nobody has named; a second one of that name takes its place`,
      "name this host (hostnamectl set-hostname NAME, or /etc/hostname), or give --node-name",
    );
  const known = [...readSystemFile("/etc/hosts").matchAll(/^\s*[^#\s]+\s+(.*)$/gm)].some((line) =>
    line[1]!.split(/\s+/).includes(name),
  );
  return known || name === facts.hostname
    ? []
    : warning(
        `nothing resolves the node name ${name} here`,
        `add it to /etc/hosts: echo "ADDRESS ${name}" >> /etc/hosts`,
      );
}
