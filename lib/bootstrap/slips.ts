import type { ApiClient } from "../api/client.ts";
import type { BootstrapToken } from "../config/kinds/init.ts";
import { readKubeconfig } from "../kubeconfig/kubeconfig.ts";
import { caPin } from "../pki/certificate.ts";
import { readCertificates } from "../pki/pem.ts";
import { joinCommand } from "./join-command.ts";
import { createToken, publishedKubeconfig } from "./tokens.ts";

/** A token, and the whole command that joins a node with it. */
export interface Slip {
  token: string;
  joinCommand: string;
}

/** Makes tokens that work at once. With a certificate key the commands join control planes. Throws KubestickError. */
export async function createSlips(
  client: ApiClient,
  tokens: BootstrapToken[],
  options: { singleUse: boolean; certificateKey?: string | undefined },
): Promise<Slip[]> {
  const slips: Slip[] = [];
  for (const token of tokens) {
    await createToken(client, token, new Date(), { singleUse: options.singleUse });
    const command = await commandFor(client, token.token);
    const more = options.certificateKey ? ` --control-plane --certificate-key ${options.certificateKey}` : "";
    slips.push({ token: token.token, joinCommand: command + more });
  }
  return slips;
}

async function commandFor(client: ApiClient, token: string): Promise<string> {
  const published = readKubeconfig(await publishedKubeconfig(client), "cluster-info", () => undefined);
  return joinCommand(published.server, token, readCertificates(published.ca, "the CA of cluster-info").map(caPin));
}
