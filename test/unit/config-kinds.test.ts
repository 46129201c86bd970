import { describe, expect, test } from "bun:test";
import type { Kind, Slot } from "../../lib/config/kind.ts";
import { parseConfig } from "../../lib/config/load.ts";
import { CURRENT, KINDS } from "../../lib/config/registry.ts";
import type { Schema } from "../../lib/config/schema.ts";
import { documentText, toDocument } from "../../lib/config/write.ts";
import { isPlain } from "../../lib/yaml/plain.ts";

const HOST = {
  hostname: () => "cp1",
  advertiseAddress: (family?: 4 | 6) => (family === 6 ? "fd00:99::11" : "10.99.0.11"),
  newToken: () => "abcdef.0123456789abcdef",
};

/** A value with something in every place that a schema has, the place's own name where it can hold one. */
function everywhere(schema: Schema, at: string): unknown {
  if (schema.kind === "list") return [everywhere(schema.of, `${at}[]`)];
  if (schema.kind === "map") return { key: everywhere(schema.of, `${at}{}`) };
  if (schema.kind !== "object") return at;
  return Object.fromEntries(
    Object.entries(schema.fields)
      .filter(([name]) => name !== "apiVersion" && name !== "kind")
      .map(([name, field]) => [name, everywhere(field, `${at}.${name}`)]),
  );
}

/** Everything that stands in a value and holds nothing else. */
function scalars(value: unknown): unknown[] {
  if (Array.isArray(value)) return value.flatMap(scalars);
  return isPlain(value) ? Object.values(value).flatMap(scalars) : [value];
}

describe("kinds", () => {
  test("each stands in the registry once, its current version with its place", () => {
    const names = KINDS.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
    expect(new Set(names).size).toBe(names.length);
    for (const [slot, kind] of Object.entries(CURRENT) as [Slot, Kind][]) {
      expect([kind.slot, kind.convert, KINDS.includes(kind)]).toEqual([slot, undefined, true]);
    }
  });

  for (const old of KINDS.filter(({ convert }) => convert)) {
    test(`a ${old.kind} of ${old.apiVersion} loses nothing when it becomes a current one`, () => {
      const value = everywhere(old.schema, old.kind);
      const converted = scalars(old.convert!(structuredClone(value)));
      const lost = scalars(value).filter((scalar) => !converted.includes(scalar));
      // CoreDNS is the only one that there is.
      expect(lost).toEqual(old.kind === "ClusterConfiguration" ? ["ClusterConfiguration.dns.type"] : []);
    });

    test(`a ${old.kind} of ${old.apiVersion} becomes a current one, field by field`, () => {
      const { [old.slot]: converted } = old.convert!(everywhere(old.schema, old.kind));
      const misplaced = (value: unknown, schema: Schema, at: string): string[] => {
        if (value === undefined) return [];
        if (schema.kind === "list") return Array.isArray(value) ? misplaced(value[0], schema.of, `${at}[]`) : [at];
        if (schema.kind !== "object") return [];
        return Object.entries(value as object).flatMap(([name, item]) => {
          const field = schema.fields[name];
          return field ? misplaced(item, field, `${at}.${name}`) : [`${at}.${name}`];
        });
      };
      expect(misplaced(converted, CURRENT[old.slot].schema, old.kind)).toEqual([]);
    });
  }

  test("defaults are filled in once: what has them all stays as it is", () => {
    const { cluster, init, join, kubelet, kubeProxy } = CURRENT;
    const whole = cluster.defaults({ networking: { podSubnet: "10.244.0.0/16" } });
    expect(cluster.defaults(whole)).toEqual(whole);
    const first = init.defaults({}, { host: HOST, serviceSubnet: "fd00::/112" });
    expect(first.localAPIEndpoint).toEqual({ advertiseAddress: "fd00:99::11", bindPort: 6443 });
    expect(init.defaults(first, { host: HOST, serviceSubnet: "fd00::/112" })).toEqual(first);
    const joining = join.defaults({ controlPlane: {} }, { host: HOST });
    expect(joining).toMatchObject({
      caCertPath: "/etc/kubernetes/pki/ca.crt",
      controlPlane: { localAPIEndpoint: { bindPort: 6443 } },
      nodeRegistration: { name: "cp1", criSocket: "unix:///run/containerd/containerd.sock" },
    });
    expect(join.defaults(joining, { host: HOST })).toEqual(joining);
    const fitted = kubelet.defaults({ authentication: { webhook: { cacheTTL: "1m" } } }, whole);
    expect(fitted["authentication"]).toMatchObject({ webhook: { enabled: true, cacheTTL: "1m" } });
    expect(kubelet.defaults(fitted, whole)).toEqual(fitted);
    const proxy = kubeProxy.defaults({}, { ...whole, advertiseAddress: "10.99.0.11" });
    expect(kubeProxy.defaults(proxy, { ...whole, advertiseAddress: "10.99.0.11" })).toEqual(proxy);
  });

  test("what was given stays as it was given", () => {
    const given = { etcd: { local: {} }, networking: { podSubnet: "10.244.0.0/16" } };
    const before = structuredClone(given);
    CURRENT.cluster.defaults(given).networking.podSubnet = "changed";
    expect(given).toEqual(before);
  });

  test("what the writer writes is read back as it was, with nothing to warn of", () => {
    const { cluster, init, kubelet, kubeProxy } = CURRENT;
    const whole = cluster.defaults({ networking: { podSubnet: "10.244.0.0/16" } });
    const first = init.defaults({}, { host: HOST, serviceSubnet: whole.networking.serviceSubnet });
    const node = toDocument(kubelet, kubelet.defaults({}, whole));
    const proxy = toDocument(kubeProxy, kubeProxy.defaults({}, { ...whole, advertiseAddress: "10.99.0.11" }));
    const text = documentText(toDocument(init, first), toDocument(cluster, whole), node, proxy);
    const parsed = parseConfig(text, "written.yaml");
    expect([parsed.problems, parsed.warnings]).toEqual([[], []]);
    expect([parsed.init, parsed.cluster]).toEqual([first, whole]);
    expect(parsed.kubelet).toMatchObject({ apiVersion: kubelet.apiVersion, clusterDNS: ["10.96.0.10"] });
    expect(text.split("---\n").map((part) => /^apiVersion: (\S+)$/m.exec(part)?.[1])).toEqual(
      [init, cluster, kubelet, kubeProxy].map(({ apiVersion }) => apiVersion),
    );
  });
});
