/** The command that joins a node: the server as `https://host:port`, a token and the CA's pin. */
export function joinCommand(server: string, token: string, pin: string): string {
  return `kubestick join ${server.replace(/^https:\/\//, "")} --token ${token} --discovery-token-ca-cert-hash ${pin}`;
}
