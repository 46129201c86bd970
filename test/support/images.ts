import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { run, tryRun } from "../../lib/host/process.ts";

/** A container image to make out of programs of this machine. */
export interface ImageSpec {
  name: string;
  /** Path in the image → file of this machine. */
  files: Record<string, string>;
  /** Path in the image → what it holds, and → what it is a symbolic link to. */
  texts?: Record<string, string>;
  links?: Record<string, string>;
  /** The paths of programs that run as their owner, root. */
  setuid?: string[];
  entrypoint?: string[];
  cmd?: string[];
  user?: string;
  /** Go's name of the architecture; default this machine's. */
  arch?: string;
}

const sha256 = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");

/** The shared libraries that a program needs, the loader included; none for a static one. */
export function libraries(program: string): string[] {
  return [...tryRun("ldd", [program]).stdout.matchAll(/(\/\S+\.so\S*) \(0x/g)].map((m) => m[1]!);
}

/** Writes an OCI image layout with these images to a tar, for `ctr images import`. */
export function buildImages(specs: ImageSpec[], target: string, work: string): void {
  const layout = join(work, "layout");
  const blobs = join(layout, "blobs/sha256");
  fs.mkdirSync(blobs, { recursive: true });
  const put = (data: Buffer | string) => {
    const digest = sha256(data as Buffer);
    fs.writeFileSync(join(blobs, digest), data);
    return { digest: `sha256:${digest}`, size: Buffer.byteLength(data as Buffer) };
  };
  const manifests = specs.map((spec, i) => {
    const root = join(work, `root-${i}`);
    for (const dir of ["tmp", "etc", "proc", "sys", "dev", "run", "var/run"])
      fs.mkdirSync(join(root, dir), { recursive: true });
    const files = { ...spec.files };
    for (const source of Object.values(spec.files)) for (const library of libraries(source)) files[library] = library;
    for (const [path, source] of Object.entries(files)) {
      fs.mkdirSync(dirname(join(root, path)), { recursive: true });
      fs.copyFileSync(fs.realpathSync(source), join(root, path));
      fs.chmodSync(join(root, path), spec.setuid?.includes(path) ? 0o4755 : 0o755);
    }
    for (const [path, text] of Object.entries(spec.texts ?? {})) {
      fs.mkdirSync(dirname(join(root, path)), { recursive: true });
      fs.writeFileSync(join(root, path), text);
    }
    for (const [path, to] of Object.entries(spec.links ?? {})) {
      fs.mkdirSync(dirname(join(root, path)), { recursive: true });
      fs.symlinkSync(to, join(root, path));
    }
    // What a program running as somebody else may write to.
    fs.chmodSync(join(root, "tmp"), 0o1777);
    const tar = join(work, `layer-${i}.tar`);
    run("tar", ["-C", root, "--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-cf", tar, "."], 120_000);
    const data = fs.readFileSync(tar);
    const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar", ...put(data) };
    const config = {
      architecture: spec.arch ?? (process.arch === "arm64" ? "arm64" : "amd64"),
      os: "linux",
      config: {
        // Test machines have memory to spare, and two processors for a dozen control planes.
        Env: ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOGC=800"],
        ...(spec.entrypoint ? { Entrypoint: spec.entrypoint } : {}),
        ...(spec.cmd ? { Cmd: spec.cmd } : {}),
        ...(spec.user ? { User: spec.user } : {}),
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...put(JSON.stringify(config)) },
      layers: [layer],
    };
    fs.rmSync(root, { recursive: true });
    fs.rmSync(tar);
    return {
      mediaType: manifest.mediaType,
      ...put(JSON.stringify(manifest)),
      annotations: { "io.containerd.image.name": spec.name, "org.opencontainers.image.ref.name": spec.name },
    };
  });
  fs.writeFileSync(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  fs.writeFileSync(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
  run("tar", ["-C", layout, "-cf", target, "oci-layout", "index.json", "blobs"], 120_000);
  fs.rmSync(layout, { recursive: true });
}
