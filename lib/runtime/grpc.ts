import * as http2 from "node:http2";
import * as net from "node:net";
import { KubestickError } from "../errors.ts";
import { BodyLimitError, readBody } from "../net/body.ts";

const MAX_REPLY = 16 * 1024 * 1024;

/** gRPC status codes that callers tell apart (https://grpc.github.io/grpc/core/md_doc_statuscodes.html). */
export const GRPC = { unimplemented: 12 } as const;

/** A gRPC call that the server answered with an error, or that got no answer (`status` -1). */
export class GrpcError extends KubestickError {
  override name = "GrpcError";
  readonly status: number;

  constructor(method: string, status: number, message: string) {
    super(`${method}: ${message}`, { code: "runtime" });
    this.status = status;
  }
}

/**
 * A gRPC client for unary calls over a unix socket (gRPC over HTTP/2, https://grpc.io/docs): all that the CRI needs.
 * Close it when done, or the process does not end.
 */
export class GrpcClient {
  readonly #session: http2.ClientHttp2Session;
  readonly #socket: net.Socket;
  #failure: Error | undefined;

  constructor(socketPath: string) {
    this.#socket = net.connect(socketPath);
    this.#session = http2.connect("http://localhost", { createConnection: () => this.#socket });
    this.#session.on("error", (error: Error) => {
      this.#failure = error;
    });
  }

  close(): void {
    this.#session.destroy();
    // A session that is not connected yet leaves its socket open.
    this.#socket.destroy();
  }

  /** Calls `/package.Service/Method` and gives the reply's bytes. Throws GrpcError. Times out after `timeoutMs`. */
  call(method: string, request: Buffer, timeoutMs = 10_000): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const name = method.slice(method.lastIndexOf("/") + 1);
      let settled = false;
      const fail = (status: number, message: string) => {
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        reject(new GrpcError(name, status, message));
      };
      const timer = setTimeout(() => {
        fail(-1, `no answer within ${timeoutMs / 1000} s`);
        stream?.close();
      }, timeoutMs);
      if (this.#failure) return fail(-1, this.#failure.message);
      const onSessionError = (error: Error) => fail(-1, error.message);
      this.#session.once("error", onSessionError);
      const stream = this.#session.request({
        ":method": "POST",
        ":path": method,
        "content-type": "application/grpc",
        te: "trailers",
      });
      let status = -1;
      let message = "";
      const readStatus = (headers: http2.IncomingHttpHeaders) => {
        if (headers["grpc-status"] === undefined) return;
        status = Number(headers["grpc-status"]);
        message = decodeURIComponent(String(headers["grpc-message"] ?? ""));
      };
      stream.on("response", readStatus);
      stream.on("trailers", readStatus);
      stream.on("error", (error: Error) => fail(-1, error.message));
      const reading = readBody(stream, MAX_REPLY).catch((error: unknown) => {
        // What else ends a stream early has said so by its status, or as an error of the stream or its session.
        if (error instanceof BodyLimitError) fail(-1, error.message);
        return Buffer.alloc(0);
      });
      stream.on("close", async () => {
        this.#session.off("error", onSessionError);
        const body = await reading;
        if (status !== 0) return fail(status, message || "the connection ended without an answer");
        if (body.length < 5 || body[0] !== 0 || body.readUInt32BE(1) !== body.length - 5)
          return fail(-1, "malformed reply");
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        resolve(body.subarray(5));
      });
      const frame = Buffer.alloc(5 + request.length);
      frame.writeUInt32BE(request.length, 1);
      request.copy(frame, 5);
      stream.end(frame);
    });
  }
}
