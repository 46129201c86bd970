import { createServer, type Server, type Socket } from "node:net";

/** A request as it came over the line. */
export interface RawRequest {
  path: string;
  /** By their names in small letters. */
  headers: Record<string, string>;
}

/** An HTTP server on loopback whose answers are written byte by byte, so that they can be as wrong as they like. */
export class RawHttp {
  readonly #server: Server;
  /** What it was asked, in order. */
  readonly asked: RawRequest[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Starts one; `answer` writes to the socket. */
  static async start(answer: (request: RawRequest, socket: Socket) => unknown): Promise<RawHttp> {
    const server = createServer();
    const made = new RawHttp(server);
    server.on("connection", (socket) => {
      let text = "";
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        text += data.toString("latin1");
        for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
          const request = parse(text.slice(0, end));
          text = text.slice(end + 4);
          made.asked.push(request);
          answer(request, socket);
        }
      });
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    return made;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as { port: number }).port}`;
  }

  [Symbol.dispose](): void {
    this.#server.close();
  }
}

function parse(head: string): RawRequest {
  const [first = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 1).trim(),
  ]);
  return { path: first.split(" ")[1] ?? "", headers: Object.fromEntries(headers) };
}

/** The text of an answer: its status, headers, and body; its length is added where the headers do not say how the body ends. */
export function answerText(status: number, headers: Record<string, string> = {}, body = ""): string {
  const ends = ["content-length", "transfer-encoding"].some((name) => name in headers);
  const all = { ...headers, ...(ends ? {} : { "content-length": String(body.length) }) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Some words\r\n${lines.join("")}\r\n${body}`;
}

/** The answer to a question for a part of a file, as a server gives it that knows ranges. */
export function rangeText(file: string, { headers }: RawRequest, more: Record<string, string> = {}): string {
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(headers["range"] ?? "") ?? [];
  if (from === undefined) return answerText(200, more, file);
  const part = file.slice(Number(from), to ? Number(to) + 1 : undefined);
  const range = `bytes ${from}-${Number(from) + part.length - 1}/${file.length}`;
  return answerText(206, { "content-range": range, ...more }, part);
}
