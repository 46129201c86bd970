import { afterAll, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { reason } from "../../lib/errors.ts";
import { findProgram } from "../../lib/host/facts.ts";
import { Files } from "../../lib/host/files.ts";
import { verifyContainerdConfig } from "../../lib/preflight/containerd.ts";
import { readExistingContainerd } from "../../lib/runtime/containerd-existing.ts";
import { Cri } from "../../lib/runtime/cri.ts";
import { E2E_BIN } from "../support/binaries.ts";
import { until } from "../support/node.ts";

const work = fs.mkdtempSync(join(tmpdir(), "kubestick-ctrd-"));
afterAll(() => fs.rmSync(work, { recursive: true, force: true }));

/** The containerds of this machine: 1.x of Debian, 2.x where the end-to-end tests' components are. */
const PROGRAMS = [findProgram("containerd"), join(E2E_BIN, "containerd")].filter(
  (path): path is string => path !== undefined && fs.existsSync(path),
);

/** Starts a containerd with a configuration's files, and tells whether its CRI answers; undefined where it does not start. */
async function answersCri(program: string, dir: string): Promise<boolean | undefined> {
  const socket = join(dir, "c.sock");
  const flags = ["--root", join(dir, "root"), "--state", join(dir, "state"), "--address", socket];
  const child = spawn(program, ["--config", join(dir, "config.toml"), ...flags], { stdio: "ignore" });
  const cri = new Cri(`unix://${socket}`);
  try {
    await until(() => child.exitCode !== null || fs.existsSync(socket), 20_000, "containerd's socket");
    if (child.exitCode !== null) return undefined;
    let answer: boolean | undefined;
    await until(
      async () => {
        answer = await cri.version().then(
          () => true,
          // It serves, and has no such service.
          (error) => (/unknown service/.test(reason(error)) ? false : undefined),
        );
        return answer !== undefined;
      },
      20_000,
      "containerd's answer",
    );
    return answer;
  } finally {
    cri.close();
    const ended = new Promise((done) => child.once("close", done));
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await ended;
    }
  }
}

/** As Docker's package writes it, its comments cut short. */
const DOCKERS = `#   Copyright 2018-2022 Docker Inc.

#   Licensed under the Apache License, Version 2.0 (the "License");

disabled_plugins = ["cri"]

#root = "/var/lib/containerd"
#[grpc]
#  address = "/run/containerd/containerd.sock"
`;

/** Configurations, the place of what switches the CRI off in each, and from which containerd on it counts. */
const CASES: { name: string; files: Record<string, string>; place?: string; from?: number }[] = [
  { name: "nothing", files: { "config.toml": "" } },
  { name: "Docker's", files: { "config.toml": DOCKERS }, place: "config.toml:5" },
  {
    name: "by its whole name, over several lines",
    files: { "config.toml": 'version = 2\ndisabled_plugins = [\n  # "cri",\n  "io.containerd.grpc.v1.cri",\n]\n' },
    place: "config.toml:4",
  },
  {
    name: "a part of it",
    files: { "config.toml": "version = 3\ndisabled_plugins = ['io.containerd.cri.v1.runtime']\n" },
    place: "config.toml:2",
    from: 2,
  },
  {
    name: "in a file that is imported",
    files: {
      "config.toml": 'version = 2\nimports = ["DIR/conf.d/*.toml"]\n',
      "conf.d/10-good.toml": "version = 2\n",
      "conf.d/docker.toml": 'version = 2\n\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n',
    },
    place: "conf.d/docker.toml:3",
  },
  {
    name: "in a file beside it that is imported",
    files: {
      "config.toml": 'version = 2\nimports = ["other.toml"]\n',
      "other.toml": 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n',
    },
    place: "other.toml:2",
  },
  {
    name: "an import that takes it back has no say",
    files: {
      "config.toml": 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\nimports = ["DIR/other.toml"]\n',
      "other.toml": "version = 2\ndisabled_plugins = []\n",
    },
    place: "config.toml:2",
  },
  {
    name: "a comment, and another plugin",
    files: {
      "config.toml": '# disabled_plugins = ["cri"]\nversion = 2\ndisabled_plugins = ["io.containerd.nri.v1.nri"]\n',
    },
  },
  {
    name: "settings of its own",
    files: {
      "config.toml": `version = 2
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
`,
    },
  },
];

for (const program of PROGRAMS) {
  const version = Bun.spawnSync([program, "--version"]).stdout.toString();
  const major = Number(/ v?(\d+)\.\d+\.\d+/.exec(version)?.[1]);
  for (const [i, { name, files, place, from = 0 }] of CASES.entries()) {
    if (major < from) continue;
    test(`containerd ${major} takes a configuration as preflight does: ${name}`, async () => {
      const dir = join(work, `${major}-${i}`);
      for (const [path, text] of Object.entries(files)) {
        fs.mkdirSync(join(dir, path, ".."), { recursive: true });
        fs.writeFileSync(join(dir, path), text.replace("DIR", dir));
      }
      const existing = readExistingContainerd(new Files("/"), join(dir, "config.toml"))!;
      const wants = { criSocket: "unix:///run/containerd/containerd.sock", mirrors: false };
      const errors = verifyContainerdConfig(existing, wants).filter(({ level }) => level === "error");
      expect(errors.map(({ message }) => message.replace(`${dir}/`, "").split(" switches ")[0])).toEqual(
        place === undefined ? [] : [place],
      );
      expect(await answersCri(program, dir)).toBe(place === undefined);
    });
  }
}

test("a file that containerd cannot read is named", async () => {
  const dir = join(work, "broken");
  fs.mkdirSync(dir);
  fs.writeFileSync(join(dir, "config.toml"), "version = 2\n[plugins\n");
  const existing = readExistingContainerd(new Files("/"), join(dir, "config.toml"))!;
  expect(existing.broken.map(({ file }) => file)).toEqual([join(dir, "config.toml")]);
  for (const program of PROGRAMS) expect(await answersCri(program, dir)).toBeUndefined();
});
