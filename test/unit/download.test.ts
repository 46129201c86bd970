import { afterAll, describe, expect, test } from "bun:test";
import { KubestickError } from "../../lib/errors.ts";
import { Downloader, isLocal, type Patience } from "../../lib/net/download.ts";
import { CannotResumeError, HttpError } from "../../lib/net/failures.ts";
import { answerText, RawHttp, rangeText } from "../support/raw-http.ts";

const PATIENCE: Patience = { trickle: { ms: 60_000, bytes: 4 }, attempts: 4, pauseMs: 1 };
const downloader = new Downloader([], PATIENCE);
afterAll(() => downloader.close());

const FILE = Array.from({ length: 5_000 }, (_, i) => String.fromCharCode(97 + (i % 26))).join("");

/** The bytes of a file as they come, or what ends the download. */
async function fetched(url: string, options: { from?: number; size?: number } = {}, by = downloader): Promise<string> {
  const { from, chunks } = await by.file({ url }, "the file", options);
  let text = `${from}:`;
  for await (const chunk of chunks) text += chunk.toString("latin1");
  return text;
}

async function failure(doing: Promise<unknown>): Promise<KubestickError> {
  const error = await doing.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(KubestickError);
  return error as KubestickError;
}

describe("redirects", () => {
  test("are followed, with the credentials for the same host alone", async () => {
    using elsewhere = await RawHttp.start((_, socket) => socket.write(answerText(200, {}, "there")));
    using first = await RawHttp.start(({ path }, socket) =>
      socket.write(answerText(302, { location: path === "/a" ? "/b?x=1" : `${elsewhere.url}/c` }, "moved")),
    );
    const headers = { authorization: "Basic secret", accept: "text/x" };
    const { data } = await downloader.bytes({ url: `${first.url}/a`, headers }, 100);
    expect(data.toString()).toBe("there");
    expect(first.asked.map(({ path, headers }) => [path, headers["authorization"]])).toEqual([
      ["/a", "Basic secret"],
      ["/b?x=1", "Basic secret"],
    ]);
    expect(elsewhere.asked.map(({ path, headers }) => [path, headers["authorization"], headers["accept"]])).toEqual([
      ["/c", undefined, "text/x"],
    ]);
  });

  test.each([
    ["more than 5 times", ({ path }: { path: string }) => `/${Number(path.slice(1)) + 1}`],
    ["more than 5 times", () => "/0"],
  ])("%s are an error, and so is a circle", async (why, location) => {
    using server = await RawHttp.start((request, socket) =>
      socket.write(answerText(302, { location: location(request) })),
    );
    expect((await failure(downloader.bytes({ url: `${server.url}/0` }, 100))).message).toContain(`redirects ${why}`);
    expect(server.asked.length).toBeLessThan(8);
  });

  test.each([
    ["http://203.0.113.1/", "is not HTTPS"],
    ["file:///etc/passwd", "is no address of the web"],
    ["http://[", "is no address of the web"],
    ["https://", "is no address of the web"],
  ])("to %s are not followed", async (location, why) => {
    using server = await RawHttp.start((_, socket) => socket.write(answerText(307, { location })));
    expect((await failure(downloader.bytes({ url: server.url }, 100))).message).toContain(why);
    expect(server.asked).toHaveLength(1);
  });

  test("of another host do not lead to what listens on this one's loopback", async () => {
    using here = await RawHttp.start((_, socket) => socket.write(answerText(200, {}, "secret")));
    using proxy = await RawHttp.start(({ path }, socket) =>
      socket.write(answerText(302, { location: path.endsWith("/a") ? "http://far.test/b" : here.url })),
    );
    const before = process.env["http_proxy"];
    process.env["http_proxy"] = proxy.url;
    const far = new Downloader(["far.test"], PATIENCE);
    try {
      const error = await failure(far.bytes({ url: "http://far.test/a" }, 100));
      expect(error.message).toBe(
        `http://far.test/b redirects to ${here.url}/, which is not HTTPS: anybody on the way could change what it sends`,
      );
      expect([proxy.asked.map(({ path }) => path), here.asked]).toEqual([
        ["http://far.test/a", "http://far.test/b"],
        [],
      ]);
    } finally {
      await far.close();
      if (before === undefined) delete process.env["http_proxy"];
      else process.env["http_proxy"] = before;
    }
  });

  test("and refusals that do not end are ended", async () => {
    for (const [status, headers] of [
      [302, { location: "/b" }],
      [404, {}],
      [503, {}],
    ] as [number, Record<string, string>][]) {
      using server = await RawHttp.start((_, socket) => {
        socket.write(answerText(status, { ...headers, "transfer-encoding": "chunked" }));
        const more = setInterval(() => socket.write(`4000\r\n${"x".repeat(0x4000)}\r\n`), 1);
        socket.on("close", () => clearInterval(more));
      });
      const error = await failure(downloader.bytes({ url: server.url }, 100));
      expect([error.constructor, error.message]).toEqual([HttpError, `${server.url}/ answered with status ${status}`]);
      expect(server.asked).toHaveLength(status === 503 ? PATIENCE.attempts : 1);
    }
  });
});

describe("what passes is tried again", () => {
  test.each([408, 429, 500, 503, 599])("status %d", async (status) => {
    let tries = 0;
    using server = await RawHttp.start((_, socket) =>
      socket.write(++tries < 3 ? answerText(status, {}, "wait") : answerText(200, {}, FILE)),
    );
    expect(await fetched(server.url)).toBe(`0:${FILE}`);
    expect(tries).toBe(3);
  });

  test.each([400, 401, 403, 404, 416])("status %d is final", async (status) => {
    using server = await RawHttp.start((_, socket) =>
      socket.write(answerText(status, { "www-authenticate": "Basic" })),
    );
    const error = await failure(fetched(server.url));
    expect(error).toBeInstanceOf(HttpError);
    expect(error).toMatchObject({ status, url: `${server.url}/`, headers: { "www-authenticate": "Basic" } });
    expect(server.asked).toHaveLength(1);
  });

  test("until it has failed so often in a row", async () => {
    using server = await RawHttp.start((_, socket) => socket.destroy());
    const error = await failure(fetched(server.url));
    expect(error.message).toStartWith("cannot download the file: ");
    expect(error.hint).toContain("it goes on where it stopped");
    expect(server.asked).toHaveLength(PATIENCE.attempts);
  });
});

describe("a download that breaks off", () => {
  /** Sends no more than so many bytes of an answer's body, then ends the connection. */
  const cut = (text: string, bytes: number) => text.slice(0, text.indexOf("\r\n\r\n") + 4 + bytes);

  test("goes on where it stopped, as long as that gets further", async () => {
    using server = await RawHttp.start((request, socket) =>
      socket.end(cut(rangeText(FILE, request, { etag: '"v1"' }), 600), "latin1"),
    );
    expect(await fetched(server.url)).toBe(`0:${FILE}`);
    expect(server.asked.slice(0, 3).map(({ headers }) => [headers["range"], headers["if-match"]])).toEqual([
      [undefined, undefined],
      ["bytes=600-4999", '"v1"'],
      ["bytes=1200-4999", '"v1"'],
    ]);
  });

  test("goes on at the first address, whatever it was sent to, and through a passing refusal", async () => {
    let tries = 0;
    using server = await RawHttp.start((request, socket) => {
      if (request.path === "/") socket.write(answerText(302, { location: `/signed-${++tries}` }));
      else if (request.path === "/signed-2") socket.write(answerText(503));
      else socket.end(cut(rangeText(FILE, request), 3_000), "latin1");
    });
    expect(await fetched(`${server.url}/`)).toBe(`0:${FILE}`);
    expect(server.asked.map(({ path, headers }) => `${path} ${headers["range"] ?? ""}`)).toEqual([
      "/ ",
      "/signed-1 ",
      "/ bytes=3000-4999",
      "/signed-2 bytes=3000-4999",
      "/ bytes=3000-4999",
      "/signed-3 bytes=3000-4999",
    ]);
  });

  test("goes on, too, where its answer is well-formed but shorter than the file", async () => {
    const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
    using server = await RawHttp.start(({ headers }, socket) => {
      const from = Number(/\d+/.exec(headers["range"] ?? "0"));
      const range: Record<string, string> = from > 0 ? { "content-range": `bytes ${from}-4999/5000` } : {};
      const head = answerText(from > 0 ? 206 : 200, { ...range, "transfer-encoding": "chunked" });
      socket.write(head + chunked(FILE.slice(from, from + 2_000)));
    });
    expect(await fetched(server.url, { size: 5_000 })).toBe(`0:${FILE}`);
    expect(server.asked).toHaveLength(3);
  });

  test("has to begin again where its server cannot go on, or has another file by now", async () => {
    for (const rest of [
      answerText(200, {}, FILE),
      answerText(412),
      answerText(206, { "content-range": "bytes 0-9/10" }),
    ]) {
      using server = await RawHttp.start((_, socket) =>
        socket.end(server.asked.length === 1 ? cut(answerText(200, {}, FILE), 1_000) : rest, "latin1"),
      );
      expect(await failure(fetched(server.url))).toBeInstanceOf(CannotResumeError);
      expect(server.asked).toHaveLength(2);
    }
  });

  test("begins again by itself where it is a small answer", async () => {
    using server = await RawHttp.start((_, socket) =>
      socket.end(server.asked.length < 4 ? cut(answerText(200, {}, FILE), 1_000) : answerText(200, {}, FILE), "latin1"),
    );
    const { data } = await downloader.bytes({ url: server.url }, 10_000);
    expect([data.toString("latin1"), server.asked.length]).toEqual([FILE, 5]);
  });

  test("can begin at any byte, and says from where a server sends that knows no ranges", async () => {
    using server = await RawHttp.start((request, socket) =>
      socket.write(
        request.path === "/none"
          ? answerText(416)
          : request.path === "/all"
            ? answerText(200, {}, FILE)
            : rangeText(FILE, request),
      ),
    );
    expect(await failure(fetched(`${server.url}/none`, { from: 6_000 }))).toBeInstanceOf(CannotResumeError);
    expect(await fetched(`${server.url}/part`, { from: 4_990, size: 5_000 })).toBe(`4990:${FILE.slice(4_990)}`);
    expect(await fetched(`${server.url}/all`, { from: 4_990, size: 5_000 })).toBe(`0:${FILE}`);
  });
});

describe("a server is put up with only so long", () => {
  test("when it trickles", async () => {
    const impatient = new Downloader([], { trickle: { ms: 200, bytes: 1_000 }, attempts: 2, pauseMs: 1 });
    using server = await RawHttp.start(({ headers }, socket) => {
      const from = /\d+/.exec(headers["range"] ?? "")?.[0];
      const head = { "content-length": String(5_000 - Number(from ?? 0)) };
      socket.write(
        from ? answerText(206, { ...head, "content-range": `bytes ${from}-4999/5000` }) : answerText(200, head),
      );
      const more = setInterval(() => socket.write("x"), 5);
      socket.on("close", () => clearInterval(more));
    });
    const error = await failure(fetched(server.url, {}, impatient));
    await impatient.close();
    expect(error.message).toBe("cannot download the file: it sends less than 1000 bytes in 0.2 s");
    expect(server.asked).toHaveLength(2);
  });

  test("when it sends more than a small answer may have", async () => {
    using server = await RawHttp.start((_, socket) => socket.write(answerText(200, {}, FILE)));
    const error = await failure(downloader.bytes({ url: server.url }, 4_999));
    expect(error.message).toBe(`${server.url} answers with more than the 4999 bytes that it may`);
    expect((await downloader.bytes({ url: server.url }, 5_000)).data).toHaveLength(5_000);
    expect(server.asked).toHaveLength(2);
  });
});

test("a download that is given up ends its connection, and is nobody's failure", async () => {
  let closed: () => void = () => undefined;
  const closing = new Promise<void>((done) => {
    closed = done;
  });
  using server = await RawHttp.start((_, socket) => {
    socket.on("close", closed);
    socket.write(answerText(200, { "content-length": "1000000" }, FILE));
  });
  const { chunks } = await downloader.file({ url: server.url }, "the file");
  for await (const chunk of chunks) if (chunk.length > 0) break;
  await closing;
  expect(server.asked).toHaveLength(1);
});

test("how long a file is, is what its server tells at once", async () => {
  using server = await RawHttp.start((request, socket) => {
    if (request.path === "/ranges") socket.write(rangeText(FILE, request));
    else if (request.path === "/all") socket.write(answerText(200, {}, FILE));
    else if (request.path === "/moved") socket.write(answerText(301, { location: "/ranges" }));
    else if (request.path === "/gone") socket.write(answerText(404, {}, "gone"));
    else socket.destroy();
  });
  const lengths = ["ranges", "all", "moved", "gone", "broken"].map((path) =>
    downloader.length(`${server.url}/${path}`),
  );
  expect(await Promise.all(lengths)).toEqual([5_000, 5_000, 5_000, undefined, undefined]);
  expect(server.asked).toHaveLength(6);
});

test("this machine is its loopback", () => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "::1"]) expect(isLocal(host)).toBe(true);
  for (const host of ["localhost.test", "10.0.0.1", "[fd00::1]", "example.test"]) expect(isLocal(host)).toBe(false);
});
