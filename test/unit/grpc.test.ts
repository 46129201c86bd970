import { afterAll, beforeAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import * as http2 from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GRPC, GrpcClient, GrpcError } from "../../lib/runtime/grpc.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "grpc-"));
const socket = join(dir, "s.sock");
const server = http2.createServer();
const MIB = 1024 * 1024;

/** A message as gRPC frames it. */
function framed(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

const HEADERS = { ":status": 200, "content-type": "application/grpc" };

/** What the server does, by the method's name. */
const METHODS: Record<string, (stream: http2.ServerHttp2Stream, asked: Buffer) => void> = {
  Echo: (stream, asked) => reply(stream, asked),
  Pieces: (stream) => {
    stream.respond(HEADERS, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    for (const byte of framed(Buffer.from("in pieces"))) stream.write(Buffer.from([byte]));
    stream.end();
  },
  Refuses: (stream) => {
    stream.respond({ ...HEADERS, "grpc-status": "12", "grpc-message": "not%20known" }, { endStream: true });
  },
  Malformed: (stream) => reply(stream, Buffer.from("x"), Buffer.from("no frame")),
  Huge: (stream) => {
    stream.on("error", () => undefined);
    stream.respond(HEADERS);
    const piece = Buffer.alloc(MIB);
    for (let n = 0; n < 20; n++) stream.write(piece);
  },
  Silent: (stream) => stream.on("error", () => undefined),
};

function reply(stream: http2.ServerHttp2Stream, body: Buffer, bytes = framed(body)): void {
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(bytes);
}

beforeAll(async () => {
  server.on("stream", (opened, headers) => {
    const stream = opened as http2.ServerHttp2Stream;
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => METHODS[headers[":path"]!.split("/").pop()!]!(stream, Buffer.concat(parts).subarray(5)));
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
});
afterAll(() => {
  server.close();
  fs.rmSync(dir, { recursive: true });
});

async function call(method: string, request = Buffer.alloc(0), timeoutMs = 10_000): Promise<Buffer | GrpcError> {
  const client = new GrpcClient(socket);
  try {
    return await client.call(`/test.Service/${method}`, request, timeoutMs);
  } catch (error) {
    expect(error).toBeInstanceOf(GrpcError);
    return error as GrpcError;
  } finally {
    client.close();
  }
}

test("a reply is given without its frame, in however many pieces it comes", async () => {
  expect(await call("Echo", Buffer.from("hello"))).toEqual(Buffer.from("hello"));
  expect(await call("Pieces")).toEqual(Buffer.from("in pieces"));
  expect(await call("Echo", Buffer.alloc(3 * MIB, 7))).toEqual(Buffer.alloc(3 * MIB, 7));
});

test("a refusal has its status and its message", async () => {
  expect(await call("Refuses")).toMatchObject({ status: GRPC.unimplemented, message: "Refuses: not known" });
});

test("what is no frame, and what is larger than any reply of a runtime, is refused", async () => {
  expect(await call("Malformed")).toMatchObject({ status: -1, message: "Malformed: malformed reply" });
  expect(await call("Huge")).toMatchObject({ status: -1, message: "Huge: it sends more than 16 MiB" });
});

test("a server that says nothing is given up", async () => {
  expect(await call("Silent", undefined, 100)).toMatchObject({ status: -1, message: "Silent: no answer within 0.1 s" });
});
