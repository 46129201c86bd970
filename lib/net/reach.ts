import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import { isLoopback } from "./ip.ts";

const TIMEOUT_MS = 5_000;

/** The address of this host that reaches another one, as the kernel chooses it; undefined where none does, or it is loopback. */
export function addressTowards(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (address: string | undefined) => {
      socket.destroy();
      resolve(address === undefined || isLoopback(address) ? undefined : address);
    };
    socket.once("connect", () => end(socket.localAddress));
    socket.once("error", () => end(undefined));
    socket.setTimeout(TIMEOUT_MS, () => end(undefined));
  });
}

/** Whether a host name resolves here, or is an address. */
export function resolves(host: string): Promise<boolean> {
  return lookup(host).then(
    () => true,
    () => false,
  );
}
