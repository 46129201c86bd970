import { SERVICE_SUBNET } from "../../constants/names.ts";
import { type Cidr, familiesOf, hostBits, overlaps, parseIp } from "../../net/ip.ts";
import type { Report } from "../kind.ts";
import type { Arg } from "../kinds/fields.ts";
import type { Given } from "../schema.ts";
import { checkCidrs } from "./addresses.ts";

/** Pod networks are cut into one block a node: kube-controller-manager's default node mask by family. */
const NODE_MASK = { 4: 24, 6: 64 } as const;

/** A component's flags. */
type Args = { extraArgs?: Given<Arg>[] };

/** Checks a cluster's networks: Services', pods', and both together. */
export function checkNetworks(
  c: { networking?: { serviceSubnet?: string; podSubnet?: string }; controllerManager?: Args },
  report: Report,
): void {
  const serviceSubnet = c.networking?.serviceSubnet || SERVICE_SUBNET;
  const services = checkCidrs(serviceSubnet, "networking.serviceSubnet", report);
  const pods = checkCidrs(c.networking?.podSubnet, "networking.podSubnet", report);
  for (const cidr of services) checkServices(cidr, report);
  for (const cidr of pods) checkPods(cidr, c.controllerManager?.extraArgs ?? [], report);
  for (const pod of pods) {
    if (services.some((service) => overlaps(service, pod))) {
      report(
        "networking.podSubnet",
        `${c.networking?.podSubnet} overlaps the service subnet ${serviceSubnet}; choose ranges that share no address, such as 10.244.0.0/16 and 10.96.0.0/12`,
      );
    }
  }
}

/** kube-apiserver bounds the size of a Service network (kubeadm constants.go MaximumBitsForServiceSubnet). */
function checkServices(cidr: Cidr, report: Report): void {
  if (hostBits(cidr) > 20) {
    report(
      "networking.serviceSubnet",
      `is too large; use a mask of /${(cidr.family === 4 ? 32 : 128) - 20} or longer, such as ${cidr.family === 4 ? "10.96.0.0/12" : "fd00:10:96::/112"}`,
    );
  } else if (hostBits(cidr) < 4) {
    report("networking.serviceSubnet", "is too small; at least 16 addresses are needed");
  }
}

/** kube-controller-manager cuts a pod network into at most 65536 blocks (kubeadm constants.go PodSubnetNodeMaskMaxDiff). */
function checkPods(cidr: Cidr, args: Given<Arg>[], report: Report): void {
  const own = `node-cidr-mask-size-ipv${cidr.family}`;
  const flag = args.find(({ name }) => name === own || name === "node-cidr-mask-size");
  const mask = flag ? Number(flag.value) : NODE_MASK[cidr.family];
  if (cidr.bits > mask) {
    report(
      "networking.podSubnet",
      `has a /${cidr.bits} mask, too small for a /${mask} block a node; use /${mask} or shorter, or set controllerManager.extraArgs ${own}`,
    );
  } else if (mask - cidr.bits > 16) {
    report(
      "networking.podSubnet",
      `with a /${cidr.bits} mask and /${mask} a node makes more than 65536 blocks; use /${mask - 16} or longer, or set controllerManager.extraArgs ${own}`,
    );
  }
}

/**
 * Checks that the API server can advertise its address: the first service network and it are of one IP family, or the
 * server ends with "service IP family must match public address family" (kube-apiserver options/validation.go).
 */
export function checkFamilies(
  config: {
    cluster: { apiServer: Args; networking: { serviceSubnet: string } };
    localAPIEndpoint: { advertiseAddress: string };
  },
  report: Report,
): void {
  const { extraArgs } = config.cluster.apiServer;
  const flag = (name: string) => extraArgs?.findLast((arg) => arg.name === name)?.value;
  const subnet = flag("service-cluster-ip-range") ?? config.cluster.networking.serviceSubnet;
  const address = flag("advertise-address") ?? config.localAPIEndpoint.advertiseAddress;
  const [services] = familiesOf(subnet);
  const family = parseIp(address)?.family;
  if (services === undefined || family === undefined || services === family) return;
  report(
    "networking.serviceSubnet",
    `its first network ${subnet.split(",")[0]} is IPv${services}, and the API server's address ${address} is IPv${family}; they must be of one family: put an IPv${family} network first, or give an IPv${services} localAPIEndpoint.advertiseAddress`,
  );
}
