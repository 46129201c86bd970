import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { KubestickError } from "../../lib/errors.ts";
import { Downloader } from "../../lib/net/download.ts";
import { type BlobDownload, downloadBlob } from "../../lib/oci/blob-download.ts";
import { digestHex, digestOf } from "../../lib/oci/descriptor.ts";
import { Staging } from "../../lib/oci/staging.ts";
import { answerText, RawHttp, type RawRequest, rangeText } from "../support/raw-http.ts";

const work = fs.mkdtempSync("/tmp/kubestick-blob-download-");
const downloader = new Downloader([], { trickle: { ms: 60_000, bytes: 4 }, attempts: 3, pauseMs: 1 });
afterAll(async () => {
  await downloader.close();
  fs.rmSync(work, { recursive: true, force: true });
});
let staging: Staging;
beforeEach(() => {
  fs.rmSync(join(work, "staging"), { recursive: true, force: true });
  staging = new Staging(join(work, "staging"));
});

const FILE = Array.from({ length: 5_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");
const DIGEST = digestOf(FILE);
const SIZED: BlobDownload = { digest: DIGEST, size: FILE.length, what: "the file" };
const UNSIZED: BlobDownload = { digest: DIGEST, limit: 6_000, what: "the file" };
const partial = () => join(work, "staging/partial", digestHex(DIGEST));

/** Downloads from a server that knows ranges, or answers as told; gives what it was asked for. */
async function download(blob: BlobDownload, answer?: (request: RawRequest, nth: number) => string) {
  using server = await RawHttp.start((request, socket) =>
    socket.end(answer?.(request, server.asked.length) ?? rangeText(FILE, request), "latin1"),
  );
  const seen: number[] = [];
  const error = await downloadBlob(downloader, { url: server.url }, blob, staging, (bytes) => seen.push(bytes)).then(
    () => undefined,
    (e: unknown) => e as Error,
  );
  return { error, seen, ranges: server.asked.map(({ headers }) => headers["range"]) };
}

function expectStaged(): void {
  expect(Buffer.concat([...staging.chunks(DIGEST)]).toString("latin1")).toBe(FILE);
  expect(fs.readdirSync(join(work, "staging/partial"))).toEqual([]);
}

describe.each([
  ["of known length", SIZED],
  ["of unknown length", UNSIZED],
])("a blob %s", (_, blob) => {
  test("is staged, and progress tells of its bytes", async () => {
    const { error, seen, ranges } = await download(blob);
    expect([error, ranges, seen[0], seen.at(-1)]).toEqual([undefined, [undefined], 0, FILE.length]);
    expectStaged();
  });

  test("goes on where an earlier run stopped", async () => {
    fs.writeFileSync(partial(), FILE.slice(0, 1_234));
    const { error, seen, ranges } = await download(blob);
    expect([error, ranges, seen[0]]).toEqual([undefined, ["bytes=1234-"], 1_234]);
    expectStaged();
  });

  test("that an earlier run had got all of is not asked for", async () => {
    fs.writeFileSync(partial(), FILE);
    expect(await download(blob)).toMatchObject({ error: undefined, ranges: [] });
    expectStaged();
  });

  test("begins again where what an earlier run left is damaged", async () => {
    for (const left of ["\0".repeat(1_234), "\0".repeat(FILE.length), `${FILE}and more`]) {
      fs.rmSync(join(work, "staging/blobs/sha256", digestHex(DIGEST)), { force: true });
      fs.writeFileSync(partial(), left);
      const { error, ranges } = await download(blob, (request) =>
        request.headers["range"] === undefined || left.length < FILE.length
          ? rangeText(FILE, request)
          : answerText(416),
      );
      expect([error, ranges.at(-1)]).toEqual([undefined, undefined]);
      expectStaged();
    }
  });

  test("begins again at a server that knows no ranges", async () => {
    fs.writeFileSync(partial(), FILE.slice(0, 1_234));
    const { error, seen, ranges } = await download(blob, (_request, nth) => {
      const all = answerText(200, {}, FILE);
      return nth < 3 ? all.slice(0, -1_000) : all;
    });
    expect([error, ranges.length > 2, seen.at(-1)]).toEqual([undefined, true, FILE.length]);
    expectStaged();
  });

  test("of other contents is refused, and none of it stays", async () => {
    const { error, ranges } = await download(blob, () => answerText(200, {}, FILE.replace("abc", "xyz")));
    expect(error).toBeInstanceOf(KubestickError);
    expect(error?.message).toBe(`the download of the file does not match ${DIGEST}`);
    expect([ranges.length, fs.readdirSync(join(work, "staging/partial"))]).toEqual([1, []]);
    expect(staging.size(DIGEST)).toBeUndefined();
  });

  test("that is too long is not written on", async () => {
    const { error } = await download(blob, () => answerText(200, {}, FILE.repeat(20)));
    expect(error?.message).toMatch(/sends more than the (5000|6000) bytes that it may$/);
    expect(fs.readdirSync(join(work, "staging/partial"))).toEqual([]);
  });

  test("keeps what it got when its server fails for good", async () => {
    const { error } = await download(blob, (request, nth) =>
      nth === 1 ? rangeText(FILE, request).slice(0, -2_000) : answerText(404),
    );
    expect([error?.message, fs.statSync(partial()).size]).toEqual([expect.stringContaining("status 404"), 3_000]);
    expect(fs.statSync(partial()).mode & 0o777).toBe(0o600);
    expect(await download(blob)).toMatchObject({ error: undefined, ranges: ["bytes=3000-"] });
    expectStaged();
  });
});

test("a link in a partial file's place is not followed", async () => {
  fs.writeFileSync(join(work, "victim"), "precious");
  fs.symlinkSync(join(work, "victim"), partial());
  expect((await download(SIZED)).error?.message).toContain("ELOOP");
  expect(fs.readFileSync(join(work, "victim"), "utf8")).toBe("precious");
});
