import { expect, test } from "bun:test";
import { ApiClient } from "../../lib/api/client.ts";
import type { KubeObject } from "../../lib/api/resources.ts";
import { applyProvider, providerObjects } from "../../lib/phases/provider.ts";
import { apiDouble, json } from "../support/api-double.ts";

const MANIFEST = `apiVersion: example.com/v1
kind: Pool
metadata: {name: p1}
spec: {enabled: yes}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: net-system}}
- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s, namespace: net-system}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: pools.example.com}
`;

test("a provider's objects are applied whatever their kind, namespaces and definitions first", async () => {
  const applied: string[] = [];
  let bodies = "";
  let asked = 0;
  const double = await apiDouble(({ method, url, body }, response) => {
    if (method === "GET") {
      const lists: Record<string, object[]> = {
        "/apis/apps/v1": [
          { name: "statefulsets/scale", kind: "Scale", namespaced: true },
          { name: "statefulsets", kind: "StatefulSet", namespaced: true },
        ],
        "/apis/apiextensions.k8s.io/v1": [{ name: "customresourcedefinitions", kind: "CustomResourceDefinition" }],
        // A definition is served a moment after it was applied.
        "/apis/example.com/v1": ++asked > 1 ? [{ name: "pools", kind: "Pool", namespaced: false }] : [],
      };
      const resources = lists[url.pathname];
      json(response, resources ? 200 : 404, resources ? { resources } : { message: "not found" });
      return;
    }
    applied.push(url.pathname);
    bodies += body;
    json(response, 200, JSON.parse(body));
  });
  const { server, ca, client } = double;
  const api = new ApiClient({ server, ca, clientCertificate: client.cert, clientKey: client.key });
  try {
    const apply = async (objects: object[]) => void (await Promise.all(objects.map((o) => api.apply(o as KubeObject))));
    await applyProvider(apply, providerObjects("net.yaml", MANIFEST, undefined));
    expect(applied.slice(0, 2)).toEqual([
      "/api/v1/namespaces/net-system",
      "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pools.example.com",
    ]);
    expect(applied.slice(2).sort()).toEqual([
      "/api/v1/namespaces/default/configmaps/c",
      "/apis/apps/v1/namespaces/net-system/statefulsets/s",
      "/apis/example.com/v1/pools/p1",
    ]);
    expect(bodies).toContain('"enabled":true');
  } finally {
    await api.close();
    double.close();
  }
});
