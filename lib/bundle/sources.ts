import { KubestickError } from "../errors.ts";
import type { Registry } from "../oci/registry.ts";
import type { Staging } from "../oci/staging.ts";
import type { LocalContent } from "./contents.ts";

/** How many things are had at once: enough to fill a line; each costs memory. */
export const AT_ONCE = 3;

/** What a creation has yet to download or copy. */
export interface Plan {
  files: number;
  /** Of the files whose length is known. */
  bytes: number;
  /** How many are of unknown length. */
  unknown: number;
  /** Bytes of everything that goes in, as far as their lengths are known. */
  total: number;
}

/** What a creation reports while it runs. */
export interface Progress {
  files: number;
  filesDone: number;
  bytesDone: number;
  /** Bytes of the files whose length is known. */
  bytes: number;
}

/** Where a creation puts things, and takes them from, in this order: what is staged, what is local, registries and download sites. */
export interface Sources {
  staging: Staging;
  local: LocalContent[];
  registry: Registry;
  /** Nothing is downloaded. */
  offline: boolean;
  /** The address that a file of the lock is downloaded from: its own, or a mirror's. */
  locate: (url: string) => string;
  progress: (state: Progress) => void;
  /** Hears what has yet to be had before any of it is. */
  planned?: (plan: Plan) => void;
}

/** An error for what is neither staged nor local while nothing may be downloaded. */
export function notLocal(what: string): KubestickError {
  return new KubestickError(`no --from source contains ${what}`, {
    hint: "give another --from, or leave --offline out to download it",
    code: "not-found",
  });
}
