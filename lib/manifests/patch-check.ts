import { readDocuments } from "../config/document.ts";
import { kubelet } from "../config/kinds/kubelet.ts";
import { isPlain, type Plain } from "../yaml/plain.ts";
import { writeYaml } from "../yaml/write.ts";

/** Fields that are strings wherever they stand in a Pod or Deployment. */
const STRINGS = new Set([
  ...["name", "namespace", "value", "image", "imagePullPolicy", "mountPath", "subPath", "hostIP", "protocol", "scheme"],
  ...["workingDir", "priorityClassName", "nodeName", "hostname", "serviceAccountName", "restartPolicy", "dnsPolicy"],
  ...["key", "operator", "effect", "fieldPath", "topologyKey", "schedulerName", "apiVersion", "kind"],
]);
/** Fields whose items or values all are. */
const OF_STRINGS = new Set(["command", "args", "labels", "annotations", "nodeSelector", "matchLabels"]);

/**
 * What in a patched Pod or Deployment must be a string and is none, with its path; undefined where all is well. A
 * patch's `value: on` is a boolean to Kubernetes, and the kubelet would never start such a pod.
 */
export function notAString(value: unknown, field = "", path = ""): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (STRINGS.has(field)) {
    const said = `${path.slice(1)} is ${JSON.stringify(value)}, and must be a string; put quotes around it`;
    return typeof value === "string" ? undefined : said;
  }
  const inner = (key: string) => (OF_STRINGS.has(field) ? "value" : key);
  const parts: [unknown, string, string][] = Array.isArray(value)
    ? value.map((item, i) => [item, inner(""), `${path}[${i}]`])
    : isPlain(value)
      ? Object.entries(value).map(([key, item]) => [item, inner(key), `${path}.${key}`])
      : [];
  for (const part of parts) {
    const wrong = notAString(...part);
    if (wrong) return wrong;
  }
  return undefined;
}

/**
 * What a patch has made wrong in a KubeletConfiguration; undefined where all is well. What was there before is the
 * cluster's, perhaps of a newer version.
 */
export function brokenKubeletConfiguration(before: Plain, patched: Plain): string | undefined {
  const problems = (value: Plain) => {
    const read = readDocuments(writeYaml(value), "", Number.POSITIVE_INFINITY);
    read.documents[0]?.read(kubelet.schema);
    return read.problems.map(({ path, message }) => `${path}: ${message}`);
  };
  const known = new Set(problems(before));
  return problems(patched).find((problem) => !known.has(problem));
}
