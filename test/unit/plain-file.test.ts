import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PlainFileError, readPlainFile } from "../../lib/host/plain-file.ts";
import { run } from "../../lib/host/process.ts";

const dir = mkdtempSync(join(tmpdir(), "kubestick-plain-"));
const at = (name: string) => join(dir, name);
afterAll(() => rmSync(dir, { recursive: true }));

const failure = (path: string, limit?: number): unknown => {
  try {
    readPlainFile(path, limit);
    return undefined;
  } catch (error) {
    return error;
  }
};
const refused = (path: string, message: string, limit?: number) => {
  const error = failure(path, limit);
  expect(error).toBeInstanceOf(PlainFileError);
  expect((error as Error).message).toBe(message);
};

describe("plain files", () => {
  test("are read whole, whatever size they tell, and through links", () => {
    for (const size of [0, 1, 65_536, 65_537, 300_000]) {
      writeFileSync(at("file"), Buffer.alloc(size, "x"));
      expect(readPlainFile(at("file"))).toEqual(Buffer.alloc(size, "x"));
    }
    symlinkSync("file", at("link"));
    expect(readPlainFile(at("link")).length).toBe(300_000);
    // The kernel says that this one has no bytes.
    expect(readPlainFile("/proc/self/status").toString()).toContain("Name:");
  });

  test("of exactly the limit are read, larger ones are not", () => {
    writeFileSync(at("large"), Buffer.alloc(2 * 1024 * 1024));
    expect(readPlainFile(at("large"), 2 * 1024 * 1024).length).toBe(2 * 1024 * 1024);
    refused(at("large"), "it is larger than 1 MiB", 1024 * 1024);
    refused(at("large"), "it is larger than 256 KiB", 256 * 1024);
    refused("/proc/self/status", "it is larger than 0.0625 KiB", 64);
  });

  test("are all that is read: no device, FIFO, socket or directory, and none of them is waited for", async () => {
    refused("/dev/zero", "it is a device, not a plain file");
    refused("/dev/null", "it is a device, not a plain file");
    refused(dir, "it is a directory, not a plain file");
    run("mkfifo", [at("fifo")]);
    refused(at("fifo"), "it is a FIFO, not a plain file");
    mkdirSync(at("sockets"));
    const server = createServer().listen(at("sockets/s"));
    await new Promise((resolve) => server.once("listening", resolve));
    refused(at("sockets/s"), "it is a socket, not a plain file");
    server.close();
  });

  test("that are not there are the system's error", () => {
    expect(failure(at("missing"))).toMatchObject({ code: "ENOENT" });
    expect(failure(at("file/below"))).toMatchObject({ code: "ENOTDIR" });
  });
});
