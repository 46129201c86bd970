import type { Plain } from "../yaml/plain.ts";
import type { Given, ObjectSchema } from "./schema.ts";

/** Notes a problem at a path of a document; checks call it once for each thing that is wrong. */
export type Report = (path: string, message: string) => void;

/** Where a document of a kind belongs in a configuration. */
export type Slot = "init" | "cluster" | "join" | "kubelet" | "kubeProxy";

/** A component's own configuration as a plain object: the user's, or the one that a cluster keeps, of whatever version. */
export type ComponentConfig = Plain;

/** What defaulting needs to know of the host; asked only where the configuration leaves it open. */
export interface HostDefaults {
  hostname(): string;
  /** This host's own address: of a family, where only one of that family will do. */
  advertiseAddress(family?: 4 | 6): string;
  newToken(): string;
}

/** A field that is read and does nothing, and why. It is named wherever it is given. */
export interface NoEffect<T = unknown> {
  /** Such as `timeouts.discovery`; every item of a list is meant by `taints[].timeAdded`. */
  path: string;
  why: string;
  /** In which documents, where it is not in every one. */
  when?(given: Given<T>): boolean;
}

/**
 * A kind of document in one of its versions: all that kubestick knows of it. `T` is what a document is once defaults are
 * filled in, `From` what these are made from besides the document.
 */
export interface Kind<T = unknown, From = unknown> {
  apiVersion: string;
  kind: string;
  slot: Slot;
  schema: ObjectSchema;
  /** Whether it is a component's own: it is handed on as it was written, `apiVersion` and all. */
  component?: true;
  noEffect: readonly NoEffect<T>[];
  /** Turns what an older version's document holds into the current version's shape; it may tell other documents' values. */
  convert?(old: unknown): Partial<Record<Slot, Plain>>;
  /** Brings what has several ways of writing into the one that the rest works with, in place; `warn` is told of changes. */
  normalize?(given: Given<T>, warn: (message: string) => void): void;
  /** Checks what the schema's types cannot. Runs on what was given, and again once defaults are filled in. */
  validate(given: Given<T>, report: Report): void;
  /** The whole document, with everything that was left out filled in. */
  defaults(given: Given<T>, from: From): T;
}
