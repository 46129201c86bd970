import { DOCKER_HUB, DOCKER_HUB_REGISTRY } from "../constants/oci.ts";
import { UsageError } from "../errors.ts";
import { canonicalHost, type Reference } from "./reference.ts";

/** Where registries really are: a URL by the registry's host, or for all others under `*`. */
export type Mirrors = Map<string, string>;

/** Reads a `--registry-mirror` list: `host=URL` each, or a URL alone for every registry (key `*`). Throws UsageError. */
export function parseMirrors(texts: string[]): Mirrors {
  return new Map(
    texts.map((text) => {
      const match = /^(?:([^=/\s]+)=)?(https?:\/\/[^=?#\s]+?)\/*$/.exec(text);
      const url = URL.parse(match?.[2] ?? "");
      if (!match || !url || url.hostname === "" || url.username !== "" || url.password !== "")
        throw new UsageError(
          `--registry-mirror takes HOST=URL or URL, not ${JSON.stringify(text)}`,
          "such as registry.k8s.io=https://mirror.example.org",
        );
      return [match[1] === undefined || match[1] === "*" ? "*" : canonicalHost(match[1]), match[2]!];
    }),
  );
}

/** Where an image is asked for. */
export interface Endpoint {
  /** The registry's URL, or its mirror's; without a slash at its end. */
  url: string;
  mirrored: boolean;
}

/** Where an image is asked for: at the mirror of its registry, where there is one. */
export function endpointOf({ host }: Reference, mirrors: Mirrors): Endpoint {
  const mirror = mirrors.get(canonicalHost(host)) ?? mirrors.get("*");
  // Docker's registry has another name than its images say.
  const own = `https://${host === DOCKER_HUB ? DOCKER_HUB_REGISTRY : host}`;
  return { url: mirror ?? own, mirrored: mirror !== undefined };
}
