/**
 * The command that joins a node: the server as `https://host:port`, a token and the CA's pin. kubeadm takes the same
 * arguments, and joins what kubestick itself does not yet (control planes).
 */
export function joinCommand(
  server: string,
  token: string,
  pin: string,
  program: "kubestick" | "kubeadm" = "kubestick",
): string {
  return `${program} join ${server.replace(/^https:\/\//, "")} --token ${token} --discovery-token-ca-cert-hash ${pin}`;
}
