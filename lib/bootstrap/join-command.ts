/** The command that joins a node: the server as `https://host:port`, a token and the CA's pin. kubeadm's own takes the same. */
export function joinCommand(server: string, token: string, pin: string): string {
  return `kubeadm join ${server.replace(/^https:\/\//, "")} --token ${token} --discovery-token-ca-cert-hash ${pin}`;
}
