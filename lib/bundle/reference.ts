import { UsageError } from "../host/errors.ts";
import { isDigest } from "./descriptor.ts";

/** An image reference in its parts (distribution/reference). */
export interface Reference {
  /** The registry's host, with its port where it has one. */
  host: string;
  repository: string;
  tag?: string;
  digest?: string;
  /** The whole name, normalized: `docker.io/library/busybox:latest`. */
  name: string;
}

const COMPONENT = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const TAG = /^\w[\w.-]{0,127}$/;

/** Parses an image's name as Docker and containerd do: no host means docker.io, no tag means latest. Throws UsageError. */
export function parseReference(text: string): Reference {
  const bad = (why: string) =>
    new UsageError(`${JSON.stringify(text)} is no image name: ${why}`, "write it as registry.example.org/team/app:v1");
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !isDigest(digest)) throw bad("what follows @ is no sha256 digest");
  let rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.lastIndexOf(":");
  let tag: string | undefined;
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag)) throw bad("its tag has other characters than letters, digits, _ . -");
  }
  const slash = rest.indexOf("/");
  const first = slash < 0 ? "" : rest.slice(0, slash);
  const hasHost = /[.:]/.test(first) || first === "localhost";
  const host = hasHost ? first : "docker.io";
  let repository = hasHost ? rest.slice(slash + 1) : rest;
  if (host === "docker.io" && !repository.includes("/")) repository = `library/${repository}`;
  if (!HOST.test(host)) throw bad("its registry is no host name");
  if (!REPOSITORY.test(repository)) throw bad("its repository has other characters than a-z 0-9 . _ - /");
  if (tag === undefined && digest === undefined) tag = "latest";
  const name = `${host}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
  return { host, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }), name };
}
