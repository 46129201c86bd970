import type { AddressInfo } from "node:net";
import * as tls from "node:tls";
import { testCa } from "./api-double.ts";

/** Random choices that can be made again: the same seed gives the same ones (mulberry32). */
export class Chance {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed;
  }

  number(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.number(choices.length)]!;
  }

  /** Bytes changed, cut, doubled or put in, in a few places. */
  bytes(data: Buffer): Buffer {
    let out = Buffer.from(data);
    for (let i = 0; i <= this.number(3); i++) {
      const at = this.number(out.length + 1);
      const to = Math.min(out.length, at + this.number(20));
      const put = this.pick([
        Buffer.alloc(0),
        Buffer.from([this.number(256)]),
        out.subarray(at, to),
        Buffer.alloc(3, 0xff),
      ]);
      out = Buffer.concat([out.subarray(0, at), put, out.subarray(this.pick([at, Math.min(at + 1, out.length), to]))]);
    }
    return out;
  }

  /** A value with one or two of its parts replaced by something else, taken out, or moved. */
  value(value: unknown): unknown {
    const out = structuredClone(value);
    const holder = { root: out };
    for (let i = 0; i <= this.number(2); i++) {
      const places = [...placesOf(holder)];
      const [parent, key] = this.pick(places);
      const others = [...ODD, this.pick(places)[0]];
      if (this.number(5) === 0 && parent !== holder) delete parent[key];
      else parent[key] = structuredClone(this.pick(others));
    }
    return holder.root;
  }
}

const ODD: readonly unknown[] = [
  null,
  0,
  -1,
  1e308,
  2 ** 60,
  true,
  "",
  "x",
  "\0\x1b[2J\u202e",
  "a".repeat(5_000),
  [],
  {},
  [null],
  [[]],
  [1, "x", { a: null }],
  { name: 5 },
  { toString: 1, valueOf: null, length: -1 },
  JSON.parse('{"__proto__": {"name": "x"}, "constructor": null}'),
];

type Holder = Record<string, unknown>;

function* placesOf(holder: Holder, depth = 0): Generator<[Holder, string]> {
  for (const key of Object.keys(holder)) {
    yield [holder, key];
    const inner = holder[key];
    if (inner !== null && typeof inner === "object" && depth < 8) yield* placesOf(inner as Holder, depth + 1);
  }
}

/** What a raw server was asked. */
export interface RawRequest {
  method: string;
  path: string;
  body: string;
}

/** A cluster's CA, and its server's and administrator's certificates, for as many servers as are wanted. */
export async function identities() {
  const { ca, issue } = await testCa();
  return {
    ca,
    own: await issue({ commonName: "kube-apiserver", usages: ["server"], ipAddresses: ["127.0.0.1"] }),
    client: await issue({ commonName: "kubernetes-admin", usages: ["client"] }),
  };
}

/** A server that answers as it is told, and who it says it is. */
export interface RawServer {
  server: string;
  ca: string;
  client: { cert: string; key: string };
  close: () => void;
}

/**
 * A TLS server that answers with whatever bytes it is told, and then closes; without bytes it does what it is told
 * instead, or keeps silent. Its certificate is good, so that all that is wrong is what it says.
 */
export async function rawServer(
  { ca, own, client }: Awaited<ReturnType<typeof identities>>,
  answer: (request: RawRequest, double: RawServer) => Buffer | undefined,
  instead?: (socket: tls.TLSSocket) => void,
): Promise<RawServer> {
  const open = new Set<tls.TLSSocket>();
  const listener = tls.createServer({ cert: own.cert, key: own.key }, (socket) => {
    open.add(socket);
    let seen = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("close", () => open.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const head = seen.indexOf("\r\n\r\n");
      if (head < 0) return;
      const text = seen.subarray(0, head).toString("latin1");
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1] ?? 0);
      if (seen.length < head + 4 + length) return;
      const [method = "", path = ""] = text.split(" ");
      const body = seen.subarray(head + 4, head + 4 + length).toString("utf8");
      seen = Buffer.alloc(0);
      const bytes = answer({ method, path, body }, double);
      if (bytes) socket.end(bytes);
      else instead?.(socket);
    });
  });
  listener.on("tlsClientError", () => undefined);
  await new Promise<void>((done) => listener.listen(0, "127.0.0.1", done));
  const double = {
    server: `https://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    ca,
    client,
    close: () => {
      for (const socket of open) socket.destroy();
      listener.close();
    },
  };
  return double;
}

/** An HTTP answer in bytes. */
export function http(status: number | string, body: string | Buffer, headers: Record<string, string> = {}): Buffer {
  const all = { "content-type": "application/json", "content-length": String(Buffer.byteLength(body)), ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status} X\r\n${lines.join("")}\r\n`), Buffer.from(body as Buffer)]);
}

/** The answers that are no HTTP, or not what was asked for, around a good body. */
export const BAD_ANSWERS: Record<string, (body: string) => Buffer> = {
  nothing: () => Buffer.alloc(0),
  "a banner": () => Buffer.from("SSH-2.0-OpenSSH_9.2\r\n"),
  "a web page": () => http(200, "<!doctype html><title>Log in</title>", { "content-type": "text/html" }),
  "an empty body": () => http(200, ""),
  "cut JSON": (body) => http(200, body.slice(0, -5)),
  "JSON and more": (body) => http(200, `${body}}`),
  "a number": () => http(200, "5"),
  "a text": () => http(200, '"x"'),
  null: () => http(200, "null"),
  "a list": (body) => http(200, `[${body}]`),
  "deep lists": () => http(200, "[".repeat(100_000)),
  "deep objects": () => http(200, `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`),
  "a body shorter than it says": (body) => http(200, body, { "content-length": String(body.length + 9) }),
  "two lengths": (body) => http(200, body, { "Content-Length": "3" }),
  "a length that is none": (body) => http(200, body, { "content-length": "-1" }),
  "a chunk that is none": () => Buffer.from("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
  "a cut chunk": () => Buffer.from('HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n50\r\n{"a"'),
  "a redirect": () => http(302, "", { location: "https://127.0.0.1:1/elsewhere" }),
  "a redirect to nowhere": () => http(301, ""),
  "compressed JSON": (body) =>
    http(200, Bun.gzipSync(Buffer.from(body)) as unknown as Buffer, { "content-encoding": "gzip" }),
  "another content type": (body) => http(200, body.slice(1), { "content-type": "application/vnd.kubernetes.protobuf" }),
  "no content": () => Buffer.from("HTTP/1.1 204 X\r\n\r\n"),
  "an interim answer alone": () => Buffer.from("HTTP/1.1 100 Continue\r\n\r\n"),
  "an upgrade": () => Buffer.from("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"),
  "a status of zero": () => Buffer.from("HTTP/1.1 000 X\r\ncontent-length: 0\r\n\r\n"),
  "a status of 999": () => http(999, "{}"),
  "a refusal of another shape": () => http(400, '{"message":{"toString":1}}'),
  "a refusal in HTML": () => http(403, "<html>no</html>", { "content-type": "text/html" }),
  "too many requests": () => http(429, "{}", { "retry-after": "1e9" }),
  "a long header": () => http(200, "{}", { "x-long": "a".repeat(100_000) }),
  "a NUL in a header": () => http(200, "{}", { "x-nul": "a\0b" }),
  "bytes that are no text": () => http(200, Buffer.alloc(2_000, 0xfe)),
  "an error of a server's": () => http(500, "{"),
};
