import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { join } from "node:path";
import { Downloader } from "../../lib/net/download.ts";
import { RegistryCredentials } from "../../lib/oci/credentials.ts";
import { describe as described } from "../../lib/oci/descriptor.ts";
import { parseMirrors } from "../../lib/oci/mirrors.ts";
import { Registry } from "../../lib/oci/registry.ts";
import { Staging } from "../../lib/oci/staging.ts";
import { answerText, RawHttp, rangeText } from "../support/raw-http.ts";

const work = fs.mkdtempSync("/tmp/kubestick-registry-");
const downloader = new Downloader([], { trickle: { ms: 60_000, bytes: 4 }, attempts: 3, pauseMs: 1 });
afterAll(async () => {
  await downloader.close();
  fs.rmSync(work, { recursive: true, force: true });
});

const NAME = "docker.io/team/app:1";
const LAYER = "layer ".repeat(1_000);
const BLOB = described("", Buffer.from(LAYER));
const CREDENTIALS = new RegistryCredentials().add(
  JSON.stringify({ auths: { "docker.io": { auth: Buffer.from("u:p").toString("base64") } } }),
  "f",
);
const registryAt = (url: string) =>
  new Registry(downloader, { mirrors: parseMirrors([url]), credentials: () => CREDENTIALS });

test("a large download needs no question before it, and a new token each time that one has run out", async () => {
  let [tokens, good] = [0, ""];
  using server = await RawHttp.start((request, socket) => {
    if (request.path.startsWith("/token")) {
      good = `t${++tokens}`;
      return socket.write(answerText(200, {}, JSON.stringify({ token: good })));
    }
    const challenge = { "www-authenticate": `Bearer realm="${server.url}/token",service="s"` };
    if (request.headers["authorization"] !== `Bearer ${good}`) return socket.write(answerText(401, challenge));
    // Each token is good for one answer, of which each but the last breaks off.
    good = "";
    return socket.end(rangeText(LAYER, request).slice(0, tokens < 4 ? 1_500 : undefined));
  });
  const staging = new Staging(join(work, "staging"));
  await registryAt(server.url).blob(NAME, BLOB, staging, () => undefined);
  expect(Buffer.concat([...staging.chunks(BLOB.digest)]).toString()).toBe(LAYER);
  expect(tokens).toBe(4);
  expect(server.asked[0]).toMatchObject({ path: `/v2/team/app/blobs/${BLOB.digest}` });
});

test("a token that is not taken is not asked for again", async () => {
  using server = await RawHttp.start((request, socket) =>
    socket.write(
      request.path.startsWith("/token")
        ? answerText(200, {}, '{"token":"t"}')
        : answerText(401, { "www-authenticate": `Bearer realm="${server.url}/token"` }),
    ),
  );
  const staging = new Staging(join(work, "staging"));
  const other = described("", Buffer.from("other"));
  await expect(registryAt(server.url).blob(NAME, other, staging, () => undefined)).rejects.toMatchObject({
    status: 401,
    hint: "it does not take the credentials that it was given, or not for this name",
  });
  expect(server.asked.map(({ path }) => path.split("?")[0])).toEqual([
    `/v2/team/app/blobs/${other.digest}`,
    "/token",
    `/v2/team/app/blobs/${other.digest}`,
  ]);
});

test("who a registry sends its askers to gets no credentials by asking for some", async () => {
  using elsewhere = await RawHttp.start((_, socket) =>
    socket.write(answerText(401, { "www-authenticate": `Bearer realm="${elsewhere.url}/token",service="s"` })),
  );
  using server = await RawHttp.start((_, socket) => socket.write(answerText(307, { location: elsewhere.url })));
  await expect(registryAt(server.url).manifest(NAME)).rejects.toMatchObject({ status: 401, url: `${elsewhere.url}/` });
  expect(elsewhere.asked.map(({ path, headers }) => [path, headers["authorization"]])).toEqual([["/", undefined]]);
});
