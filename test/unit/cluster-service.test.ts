import { expect, test } from "bun:test";
import { DryRunCluster } from "../../lib/api/cluster.ts";
import { ApiError } from "../../lib/api/errors.ts";
import { describeObject, type KubeObject } from "../../lib/api/resources.ts";
import { applyService } from "../../lib/cluster/service.ts";

const SERVICE: KubeObject = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "kube-dns", namespace: "kube-system" },
  spec: { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10", "fd00::a"] },
};
const keptFor = (address: string, name: string): KubeObject => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "IPAddress",
  metadata: { name: address },
  spec: { parentRef: { group: "", resource: "services", namespace: "kube-system", name } },
});

/** A cluster that refuses a Service whose address is kept, as kube-apiserver does. */
class Allocating extends DryRunCluster {
  override async apply(object: KubeObject): Promise<KubeObject> {
    const { clusterIPs = [] } = (object["spec"] ?? {}) as { clusterIPs?: string[] };
    const kept = clusterIPs.find((address) => this.objects.has(`IPAddress ${address}`));
    if (object.kind === "Service" && kept && !this.objects.has(describeObject(object)))
      throw new ApiError(
        "apply it",
        422,
        `Invalid value: ["${kept}"]: failed to allocate: provided IP is already allocated`,
      );
    return super.apply(object);
  }
}

async function clusterWith(...objects: KubeObject[]): Promise<Allocating> {
  const cluster = new Allocating();
  for (const object of objects) await cluster.apply(object);
  return cluster;
}

test("an address that is kept for this Service, which is not there, is freed", async () => {
  const cluster = await clusterWith(keptFor("10.96.0.10", "kube-dns"), keptFor("fd00::a", "kube-dns"));
  await applyService(cluster, SERVICE);
  expect([...cluster.objects.keys()]).toEqual(["Service kube-system/kube-dns"]);
});

test("an address that another Service has stays its own", async () => {
  const cluster = await clusterWith(keptFor("10.96.0.10", "somebody"));
  expect(applyService(cluster, SERVICE)).rejects.toThrow("provided IP is already allocated");
  expect([...cluster.objects.keys()]).toEqual(["IPAddress 10.96.0.10"]);
});

test("a Service that is there is applied over, its addresses kept", async () => {
  const cluster = await clusterWith(SERVICE, keptFor("10.96.0.10", "kube-dns"));
  await applyService(cluster, SERVICE);
  expect([...cluster.objects.keys()]).toEqual(["Service kube-system/kube-dns", "IPAddress 10.96.0.10"]);
});
