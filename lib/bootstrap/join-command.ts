/** The command that joins a node: the server as `https://host:port`, a token and the pins of the CAs that the cluster shows. */
export function joinCommand(server: string, token: string, pins: string[]): string {
  const address = server.replace(/^https:\/\//, "");
  return `kubestick join ${address} --token ${token} ${pins.map((pin) => `--discovery-token-ca-cert-hash ${pin}`).join(" ")}`;
}
