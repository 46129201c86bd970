import { MANIFESTS_DIR } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import { joinHostPort } from "../net/ip.ts";
import { readYaml } from "../yaml/read.ts";
import { mainContainer } from "./pod.ts";

interface ProbedPod {
  metadata?: { name?: unknown };
  spec?: {
    containers?: {
      name?: unknown;
      ports?: { name?: string; containerPort?: number }[];
      livenessProbe?: { httpGet?: { host?: string; path?: string; scheme?: string; port?: number | string } };
    }[];
  };
}

/** The URL of a static pod's liveness probe as it lies on disk, patches included; undefined when it has none. */
export function probeOf(files: Files, component: string): string | undefined {
  const text = files.readText(`${MANIFESTS_DIR}/${component}.yaml`) ?? "";
  try {
    const pod = readYaml(text) as ProbedPod | undefined;
    const container = mainContainer(pod);
    const get = container?.livenessProbe?.httpGet;
    if (!get) return undefined;
    const port =
      typeof get.port === "number" ? get.port : container?.ports?.find((p) => p.name === get.port)?.containerPort;
    if (port === undefined) return undefined;
    return `${(get.scheme ?? "HTTP").toLowerCase()}://${joinHostPort(get.host || "127.0.0.1", port)}${get.path ?? "/"}`;
  } catch {
    // A patch can put anything there; the kubelet says what is wrong with it.
    return undefined;
  }
}
