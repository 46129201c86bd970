import { afterAll, expect, test } from "bun:test";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileSystemOf } from "../../lib/host/file-system.ts";
import { readKernelFacts } from "../../lib/host/kernel-facts.ts";
import { overlayRefusal } from "../../lib/preflight/storage.ts";

const dir = fs.mkdtempSync(join(tmpdir(), "kubestick-storage-"));
afterAll(() => fs.rmSync(dir, { recursive: true, force: true }));

/** Mounts a file system in a mount namespace of its own, and tries an overlay in it; prints the mounts and `taken` or `refused`. */
const TRY = `set -e
cd "$1"; mkdir -p top up
eval "$2"
mkdir -p top/l/d top/u top/w top/m; touch top/l/d/file
# A directory in the place of one that was below it needs a mark, as images' layers have it.
if { mount -t overlay overlay -o lowerdir=top/l,upperdir=top/u,workdir=top/w top/m &&
  rm -r top/m/d && mkdir top/m/d && [ -z "$(ls top/m/d)" ]; } 2>/dev/null; then echo taken; else echo refused; fi
cat /proc/self/mountinfo
`;

test.skipIf(process.getuid?.() !== 0)(
  "overlayfs takes the file systems that preflight lets pass, and no others",
  () => {
    const kernel = readKernelFacts();
    for (const [type, mount] of [
      ["tmpfs", "mount -t tmpfs tmpfs top"],
      ["ramfs", "mount -t ramfs ramfs top"],
      [
        "overlay",
        "mount -t tmpfs tmpfs up; mkdir up/l up/u up/w; mount -t overlay overlay -o lowerdir=up/l,upperdir=up/u,workdir=up/w top",
      ],
    ] as const) {
      const command = ["unshare", "-m", "--propagation", "private", "sh", "-c", TRY, "sh", dir, mount];
      const { stdout, stderr, exitCode } = Bun.spawnSync(command);
      expect({ type, exitCode, stderr: stderr.toString() }).toEqual({ type, exitCode: 0, stderr: "" });
      const [verdict, mountinfo] = [stdout.toString().split("\n")[0], stdout.toString()];
      const fileSystem = fileSystemOf(mountinfo, join(dir, "top", "l"))!;
      expect(fileSystem).toEqual({ mountPoint: join(dir, "top"), type });
      const refusal = overlayRefusal({ path: dir, fileSystem, kernel });
      expect({ type, verdict }).toEqual({ type, verdict: refusal === undefined ? "taken" : "refused" });
    }
  },
);
