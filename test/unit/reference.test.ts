import { expect, test } from "bun:test";
import { UsageError } from "../../lib/errors.ts";
import { nameByDigest, normalName, parseReference } from "../../lib/oci/reference.ts";
import { Random } from "../support/random.ts";

const D = `sha256:${"a".repeat(64)}`;

test.each([
  ["busybox", "docker.io/library/busybox:latest"],
  ["busybox:1.36", "docker.io/library/busybox:1.36"],
  ["docker.io/busybox", "docker.io/library/busybox:latest"],
  ["index.docker.io/busybox", "docker.io/library/busybox:latest"],
  ["index.docker.io/team/app:1", "docker.io/team/app:1"],
  ["team/app", "docker.io/team/app:latest"],
  ["localhost/app:1", "localhost/app:1"],
  ["localhost:5000/app", "localhost:5000/app:latest"],
  ["registry:5000/x", "registry:5000/x:latest"],
  ["[fd00::1]:5000/app:2", "[fd00::1]:5000/app:2"],
  ["127.0.0.1/app", "127.0.0.1/app:latest"],
  // What has capital letters before its first slash is a registry.
  ["Registry/app:1", "Registry/app:1"],
  ["a.b/c__d-e--f.g/h:T-1.x_", "a.b/c__d-e--f.g/h:T-1.x_"],
  [`busybox@${D}`, `docker.io/library/busybox@${D}`],
  [`quay.io/x/y:1.0@${D}`, `quay.io/x/y@${D}`],
  [`registry:5000/x:1@${D}`, `registry:5000/x@${D}`],
  // Short names that look like something else.
  ["3.10", "docker.io/library/3.10:latest"],
  ["localhost:5000", "docker.io/library/localhost:5000"],
])("%s is %s (distribution/reference ParseDockerRef)", (text, name) => {
  expect(parseReference(text).name).toBe(name);
  expect(parseReference(name).name).toBe(name);
});

test.each([
  ["", "its repository"],
  [":1", "its repository"],
  ["a/", "its repository"],
  ["/a", "its repository"],
  ["UPPER", "its repository"],
  ["a/UPPER", "its repository"],
  ["../../etc", "its re"],
  ["host.io/", "its repository"],
  ["x:y:z", "its re"],
  ["a/b:ta/g", "its re"],
  ["a..b", "its repository"],
  ["a___b", "its repository"],
  ["-a", "its repository"],
  ["a b", "its repository"],
  ["a:b c", "its tag"],
  [`a:${"t".repeat(129)}`, "its tag"],
  ["a@sha256:12", "what follows @"],
  [`a@sha512:${"a".repeat(128)}`, "what follows @"],
  [`a@${D}@${D}`, "what follows @"],
  ["a".repeat(64), "64 hexadecimal digits"],
  [`e.test/${"x".repeat(256)}`, "longer than 255"],
  ["x".repeat(2_000), "too long"],
  ["host-.io/a", "its registry"],
  ["a.b:port/c", "its registry"],
  ["http://a.b/c", "its re"],
  ["a\u0000b", "its repository"],
])("%s is no name: %s", (text, why) => {
  expect(() => parseReference(text)).toThrow(why);
  expect(() => parseReference(text)).toThrow(UsageError);
  expect(normalName(text)).toBeUndefined();
});

test("any text has one name or none, which is its own name again", () => {
  const random = new Random(1);
  const letters = [
    "a",
    "b",
    "0",
    "A",
    ".",
    "-",
    "_",
    "/",
    ":",
    "@",
    "[",
    "]",
    "sha256:",
    "a".repeat(64),
    "docker.io",
    "localhost",
    " ",
    "\u00e4",
    "x".repeat(100),
  ];
  let named = 0;
  for (let i = 0; i < 20_000; i++) {
    const text = Array.from({ length: 1 + random.below(12) }, () => random.pick(letters)).join("");
    const name = normalName(text);
    if (name === undefined) continue;
    named++;
    expect(parseReference(name).name).toBe(name);
    expect(nameByDigest(name, D)).toMatch(/^[^@]+\/[^@:]+(?::\d+\/[^@:]+)?@sha256:a{64}$/);
  }
  expect(named).toBeGreaterThan(500);
});
