import { join } from "node:path";
import { ApiClient } from "../api/client.ts";
import { conditionsOf, mapOf, textOf } from "../api/fields.ts";
import type { KubeObject } from "../api/resources.ts";
import { API_SERVER_PORT } from "../constants/ports.ts";
import { reason } from "../errors.ts";
import { Files } from "../host/files.ts";
import { readKubeconfig, withServer } from "../kubeconfig/kubeconfig.ts";
import { type LabMember, type LabPlan, labMembers } from "./plan.ts";

/** The kubeconfig of a lab's administrator, for use on this machine. */
export const labKubeconfig = (dir: string, plan: LabPlan) => join(dir, plan.name, "admin.conf");

/** What a node is seen to be. */
export interface NodeState {
  name: string;
  ip: string;
  role: "control plane" | "worker";
  /** Whether its processes run. */
  running: boolean;
  /** What the cluster says of it; undefined while it is not in the cluster, or no API server answers. */
  ready?: boolean;
  /** The kubelet's version. */
  version?: string;
}

/** The state of a lab's nodes, and why the cluster could not be asked, if so. */
export async function labStatus(dir: string, plan: LabPlan): Promise<{ nodes: NodeState[]; problem?: string }> {
  const members = labMembers(dir, plan);
  const { found, problem } = await nodesOf(dir, plan, members);
  const nodes = members.map(({ name, ip, controlPlane, node }): NodeState => {
    const seen = found.find((object) => object.metadata.name === name);
    return {
      name,
      ip,
      role: controlPlane ? "control plane" : "worker",
      running: node.pid !== undefined,
      ...(seen ? { ready: isReady(seen), version: kubeletVersion(seen) } : {}),
    };
  });
  return { nodes, ...(problem === undefined ? {} : { problem }) };
}

const isReady = (node: KubeObject) => conditionsOf(node).some((c) => c.type === "Ready" && c.status === "True");
const kubeletVersion = (node: KubeObject) =>
  textOf(mapOf(mapOf(node["status"])?.["nodeInfo"])?.["kubeletVersion"]) || undefined;

/** The nodes that the first control plane to answer knows. */
async function nodesOf(
  dir: string,
  plan: LabPlan,
  members: LabMember[],
): Promise<{ found: KubeObject[]; problem?: string }> {
  const path = labKubeconfig(dir, plan);
  const kubeconfig = new Files().readText(path);
  if (kubeconfig === undefined) return { found: [], problem: "the first control plane is not set up yet" };
  let problem = "no control plane runs";
  for (const { ip } of members.filter((m) => m.controlPlane && m.node.pid !== undefined)) {
    const text = withServer(kubeconfig, `https://${ip}:${API_SERVER_PORT}`, path);
    const client = new ApiClient(
      readKubeconfig(text, path, () => undefined),
      { callTimeoutMs: 3_000 },
    );
    try {
      return { found: (await client.list<KubeObject>("v1", "Node")).items };
    } catch (error) {
      problem = reason(error);
    } finally {
      await client.close();
    }
  }
  return { found: [], problem };
}
