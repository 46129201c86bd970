import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ApiClient } from "../../lib/api/client.ts";
import { listTokens } from "../../lib/bootstrap/tokens.ts";
import { ADMIN_KUBECONFIG } from "../../lib/constants/paths.ts";
import { KubestickError, reason } from "../../lib/errors.ts";
import { readPlainText } from "../../lib/host/plain-file.ts";
import { readKubeconfig } from "../../lib/kubeconfig/kubeconfig.ts";
import type { Candidate, Given } from "../command.ts";

/** Nobody waits longer for a shell's suggestions. */
const COMPLETION_MS = 2_000;

/** Uses the API of the cluster that a kubeconfig names, or the one that kubeadm would find. Throws KubestickError. */
export async function withCluster<T>(
  kubeconfig: string | undefined,
  use: (client: ApiClient) => Promise<T>,
  options: { callTimeoutMs?: number } = {},
): Promise<T> {
  const path = kubeconfig ?? defaultKubeconfig(process.env);
  const read = (file: string) => {
    try {
      return readPlainText(file);
    } catch (error) {
      throw new KubestickError(`cannot read ${file}: ${reason(error)}`, {
        hint: "run this on a control plane node as root, or name a kubeconfig with --kubeconfig",
        cause: error,
      });
    }
  };
  const client = new ApiClient(readKubeconfig(read(path), path, read), options);
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** The kubeconfig where none is named, found as kubeadm finds it: of KUBECONFIG's list, the user's own, the administrator's. */
function defaultKubeconfig({ KUBECONFIG = "", HOME = homedir() }: NodeJS.ProcessEnv): string {
  const listed = KUBECONFIG.split(delimiter).filter(Boolean);
  if (listed.length > 0) return listed.find((path) => existsSync(path)) ?? listed[0]!;
  const own = join(HOME, ".kube/config");
  return existsSync(own) ? own : ADMIN_KUBECONFIG;
}

/** The ids of the cluster's tokens, for a shell that completes one. */
export async function tokenIds(given: Given): Promise<Candidate[]> {
  const tokens = await withCluster(given.get("kubeconfig"), listTokens, { callTimeoutMs: COMPLETION_MS });
  return tokens.map(({ token, description }) => ({ value: token.slice(0, 6), about: description }));
}
