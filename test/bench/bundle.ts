// Bundles of 500 MB: memory, and time against sha256sum and `ctr images import`, in pairs.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { tryRun } from "../../lib/host/process.ts";
import { binary, hasBinary } from "../support/binaries.ts";
import { EXECUTABLE } from "../support/executable.ts";
import { buildImages } from "../support/images.ts";
import { until } from "../support/node.ts";
import { sha256File, TestRegistry } from "../support/registry.ts";
import { type Measurement, measureHere, median, reportPairs } from "./support.ts";

const WORK = "/var/tmp/kubestick-bench-bundle";
const IMAGES = 5;
const IMAGE_MB = 100;
const BINARY_MB = 400;
const OWN_ARCH = process.arch === "arm64" ? "arm64" : "amd64";
const at = (name: string) => join(WORK, name);

/** Images of bytes that do not compress, so that sizes are what they say. */
function makeImages(): void {
  const specs = Array.from({ length: IMAGES }, (_, i) => {
    const file = at(`payload-${i}`);
    const fd = fs.openSync(file, "w");
    for (let mb = 0; mb < IMAGE_MB; mb++) fs.writeSync(fd, randomBytes(1024 * 1024));
    fs.closeSync(fd);
    return { name: `bench.example.org/image-${i}:v1`, files: { "/payload": file } };
  });
  buildImages(specs, at("images.tar"), at("build"));
  for (let i = 0; i < IMAGES; i++) fs.rmSync(at(`payload-${i}`));
}

/** The lock of what a registry has of them, so that create downloads. */
function writeLock(registry: TestRegistry): string[] {
  const names = Array.from({ length: IMAGES }, (_, i) => `image-${i}:v1`);
  for (const name of names) registry.push(`oci-archive:${at("images.tar")}:bench.example.org/${name}`, name);
  return names.map((name) => `bench.example.org/${name}`);
}

async function withContainerd<T>(use: (socket: string) => Promise<T>): Promise<T> {
  const dir = at("containerd");
  fs.mkdirSync(dir, { recursive: true });
  const socket = join(dir, "containerd.sock");
  fs.writeFileSync(
    join(dir, "config.toml"),
    `version = 2\nroot = "${dir}/root"\nstate = "${dir}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${socket}"\n`,
  );
  const daemon: ChildProcess = spawn("containerd", ["-c", join(dir, "config.toml")], { stdio: "ignore" });
  try {
    await until(() => tryRun("ctr", ["-a", socket, "version"], 5_000).status === 0, 30_000, "containerd");
    return await use(socket);
  } finally {
    daemon.kill("SIGTERM");
    await until(() => daemon.exitCode !== null || daemon.signalCode !== null, 10_000, "containerd ends");
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

/** What host binaries take: a bundle of a large one, and out of it again. */
async function benchBinaries(): Promise<void> {
  fs.mkdirSync(at("binaries"));
  const kubelet = at("binaries/kubelet");
  // Enough of an ELF header to be taken for this machine's, and bytes that do not compress.
  fs.writeFileSync(kubelet, fs.readFileSync(process.execPath).subarray(0, 64));
  for (let mb = 0; mb < BINARY_MB; mb++) fs.appendFileSync(kubelet, randomBytes(1024 * 1024));
  const version = ["--kubernetes-version", "v1.36.2"];
  const create = [EXECUTABLE, "bundle", "create", at("binaries.tar"), "--from", at("binaries"), ...version];
  const created = await measureHere(create);
  const extracted = await measureHere([EXECUTABLE, "bundle", "extract", at("binaries.tar"), at("extracted")]);
  const same = sha256File(kubelet) === sha256File(join(at("extracted/bin"), OWN_ARCH, "kubelet"));
  console.log(
    `a host binary of ${BINARY_MB} MB: bundle create --from ${created.seconds.toFixed(2)} s, peak ${peak([created])} MiB; bundle extract ${extracted.seconds.toFixed(2)} s, peak ${peak([extracted])} MiB; the same again: ${same ? "yes" : "NO"}`,
  );
  for (const name of ["binaries", "binaries.tar", "extracted"]) fs.rmSync(at(name), { recursive: true });
}

/** Compares kubestick's bundle commands with their peers. */
export async function benchBundles(rounds: number): Promise<void> {
  const missing = ["docker-registry", "skopeo", "containerd", "ctr"].filter((name) => !findProgram(name));
  if (missing.length > 0) {
    console.log(`bundles: skipped, because this machine lacks ${missing.join(", ")}`);
    return;
  }
  fs.rmSync(WORK, { recursive: true, force: true });
  fs.mkdirSync(WORK, { recursive: true });
  makeImages();
  const registry = await TestRegistry.start(at("registry"));
  try {
    const images = writeLock(registry);
    fs.mkdirSync(at("nothing"));
    fs.writeFileSync(
      at("empty.yaml"),
      "apiVersion: bundle.kubestick.dev/v1alpha1\nkind: BundleLock\nkubernetesVersion: v1.36.2\nimages: []\nbinaries: []\n",
    );
    const create = (name: string) =>
      measureHere([
        EXECUTABLE,
        "bundle",
        "create",
        at(name),
        "--lock",
        at("empty.yaml"),
        "--image",
        images.join(","),
        "--registry-mirror",
        registry.url,
      ]);
    const created = [await create("one.tar"), await create("two.tar")];
    const same = sha256File(at("one.tar")) === sha256File(at("two.tar"));
    const size = fs.statSync(at("one.tar")).size / 1e6;
    console.log(
      `bundle create from a registry, ${size.toFixed(0)} MB: ${median(created.map((m) => m.seconds)).toFixed(1)} s, peak ${peak(created)} MiB; twice the same bytes: ${same ? "yes" : "NO"}`,
    );
  } finally {
    registry.stop();
  }
  const attached = await measureHere([
    EXECUTABLE,
    "bundle",
    "attach",
    at("one.tar"),
    "--executable",
    EXECUTABLE,
    "--file",
    at("attached"),
  ]);
  console.log(`bundle attach: ${attached.seconds.toFixed(2)} s, peak ${peak([attached])} MiB`);
  fs.rmSync(at("attached"));
  await benchBinaries();
  const verify: Measurement[] = [];
  const sums: Measurement[] = [];
  for (let i = 0; i < rounds; i++) {
    verify.push(await measureHere([EXECUTABLE, "bundle", "verify", at("one.tar")]));
    sums.push(await measureHere(["sha256sum", at("one.tar")]));
  }
  reportPairs("bundle verify", verify, "sha256sum", sums);
  const load: Measurement[] = [];
  const imports: Measurement[] = [];
  for (let i = 0; i < rounds; i++) {
    load.push(
      await withContainerd((socket) =>
        measureHere([EXECUTABLE, "bundle", "load", at("one.tar"), "--images-only", "--cri-socket", socket]),
      ),
    );
    imports.push(
      await withContainerd((socket) =>
        measureHere(["ctr", "-a", socket, "-n", "k8s.io", "images", "import", at("one.tar")]),
      ),
    );
  }
  reportPairs("bundle load", load, "ctr images import", imports);
  if (hasBinary("kubeadm")) {
    const own: Measurement[] = [];
    const theirs: Measurement[] = [];
    for (let i = 0; i < rounds * 3; i++) {
      own.push(await measureHere([EXECUTABLE, "version"]));
      theirs.push(await measureHere([binary("kubeadm"), "version"]));
    }
    reportPairs("version", own, "kubeadm version", theirs);
  }
  console.log(
    `size of the executable: ${(fs.statSync(EXECUTABLE).size / 1e6).toFixed(0)} MB; the bundle is attached as it is, and adds its own size`,
  );
  fs.rmSync(WORK, { recursive: true, force: true });
}

const peak = (side: Measurement[]) => Math.max(...side.map((m) => m.peakMiB)).toFixed(0);
