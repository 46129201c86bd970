import type { ApiClient } from "./client.ts";
import { describeObject, type KubeObject } from "./resources.ts";

/** What phases do to a cluster. A dry run has one that only takes notes. */
export type Cluster = Pick<ApiClient, "apply" | "createIfAbsent" | "delete" | "get" | "list" | "mergePatch">;

/** A cluster that records what would be applied, and answers reads from that and from what it has by itself. */
export class DryRunCluster implements Cluster {
  /** What was asked for, in order, later versions of an object replacing earlier ones. */
  readonly objects = new Map<string, KubeObject>();
  readonly #there: Map<string, KubeObject>;

  /** `there` is what the cluster's own components make: they are no part of what would be applied. */
  constructor(there: KubeObject[] = []) {
    this.#there = new Map(there.map((object) => [describeObject(object), object]));
  }

  #find(name: string): KubeObject | undefined {
    return this.objects.get(name) ?? this.#there.get(name);
  }

  async apply(object: KubeObject): Promise<KubeObject> {
    this.objects.set(describeObject(object), object);
    return object;
  }

  async createIfAbsent(object: KubeObject): Promise<KubeObject> {
    return this.#find(describeObject(object)) ?? this.apply(object);
  }

  async get<T = KubeObject>(
    _apiVersion: string,
    kind: string,
    name: string,
    namespace?: string,
  ): Promise<T | undefined> {
    return this.#find(describeObject({ apiVersion: "", kind, metadata: { name, namespace } })) as T | undefined;
  }

  async list<T = KubeObject>(
    _apiVersion: string,
    kind: string,
    options: { namespace?: string } = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const items = [...this.objects.values()].filter(
      (o) => o.kind === kind && (options.namespace === undefined || o.metadata.namespace === options.namespace),
    );
    return { items: items as T[], resourceVersion: "0" };
  }

  async delete(_apiVersion: string, kind: string, name: string, namespace?: string): Promise<boolean> {
    return this.objects.delete(describeObject({ apiVersion: "", kind, metadata: { name, namespace } }));
  }

  async mergePatch(object: Pick<KubeObject, "apiVersion" | "kind" | "metadata">, patch: object): Promise<KubeObject> {
    const merged = {
      ...object,
      ...patch,
      metadata: { ...object.metadata, ...(patch as Partial<KubeObject>).metadata },
    } as KubeObject;
    return this.apply(merged);
  }
}
