import { DOCKER_HUB, DOCKER_HUB_LEGACY, DOCKER_HUB_REGISTRY } from "../constants/oci.ts";
import { UsageError } from "../errors.ts";
import { isDigest } from "./descriptor.ts";

/** An image reference in its parts (distribution/reference). */
export interface Reference {
  /** The registry's host, with its port where it has one. */
  host: string;
  repository: string;
  tag?: string;
  digest?: string;
  /**
   * The whole name as containerd's CRI looks for it, `docker.io/library/busybox:latest`. Where there are both a tag and a
   * digest, the tag is not in it.
   */
  name: string;
}

const COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const REPOSITORY = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const HOST_PART = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?";
const HOST = new RegExp(`^(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[0-9a-fA-F:]+\\])(?::\\d{1,5})?$`);
const TAG = /^\w[\w.-]{0,127}$/;
/** Of host and repository together (distribution/reference NameTotalLengthMax). */
const MAX_NAME = 255;
const MAX_TEXT = 1024;

/** A registry's host by the name that images have: Docker Hub has several. */
export const canonicalHost = (host: string): string =>
  host === DOCKER_HUB_LEGACY || host === DOCKER_HUB_REGISTRY ? DOCKER_HUB : host;

/**
 * Parses an image's name as containerd's CRI does (distribution/reference ParseDockerRef): no host means docker.io, no
 * repository's owner there means library, no tag means latest, and a digest makes a tag count for nothing. Throws UsageError.
 */
export function parseReference(text: string): Reference {
  const bad = (why: string) =>
    new UsageError(
      `${JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}...` : text)} is no image name: ${why}`,
      "write it as registry.example.org/team/app:v1",
    );
  if (text.length > MAX_TEXT) throw bad("it is too long");
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
  if (/^[0-9a-f]{64}$/.test(rest)) throw bad("64 hexadecimal digits are an image's ID");
  const slash = rest.indexOf("/");
  const first = slash < 0 ? "" : rest.slice(0, slash);
  const hasHost = /[.:A-Z]/.test(first) || first === "localhost";
  const host = !hasHost || first === DOCKER_HUB_LEGACY ? DOCKER_HUB : first;
  let repository = hasHost ? rest.slice(slash + 1) : rest;
  if (host === DOCKER_HUB && !repository.includes("/")) repository = `library/${repository}`;
  if (!HOST.test(host)) throw bad("its registry is no host name");
  if (!REPOSITORY.test(repository)) throw bad("its repository has other characters than a-z 0-9 . _ - /");
  if (host.length + 1 + repository.length > MAX_NAME) throw bad(`it is longer than ${MAX_NAME} characters`);
  if (tag === undefined && digest === undefined) tag = "latest";
  const name = `${host}/${repository}${digest === undefined ? `:${tag}` : `@${digest}`}`;
  return { host, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }), name };
}

/** The name of the same repository's image with this digest, as containerd's CRI keeps it beside the one with a tag. */
export function nameByDigest(name: string, digest: string): string {
  const { host, repository } = parseReference(name);
  return `${host}/${repository}@${digest}`;
}

/** Names as containerd's CRI looks for them; undefined for a text that is none. */
export function normalName(text: string): string | undefined {
  try {
    return parseReference(text).name;
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}
