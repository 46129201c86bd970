import { join } from "node:path";
import { run } from "../../lib/host/process.ts";
import { KUBESTICK } from "./cluster.ts";
import { buildImages } from "./images.ts";
import { downloadSite, TestRegistry } from "./registry.ts";
import { standInBinaries, UPSTREAM_IMAGES } from "./stand-ins.ts";

const ARCHS = ["amd64", "arm64"] as const;

/**
 * A registry and a download site on loopback that stand for upstream: small images of both architectures under the real
 * names, and host binaries. The images lie in `amd64.tar`, `arm64.tar` and, as one bundle, `both.tar` of the directory.
 */
export async function standInUpstream(
  work: string,
): Promise<{ registry: TestRegistry; flags: string[]; stop(): void }> {
  const at = (name: string) => join(work, name);
  for (const arch of ARCHS) {
    const specs = UPSTREAM_IMAGES.map((name) => ({
      name: `registry.k8s.io/${name}`,
      arch,
      files: { [`/${name.split(":")[0]}-${arch}`]: "/bin/true" },
    }));
    buildImages(specs, at(`${arch}.tar`), at(`build-${arch}`));
  }
  const registry = await TestRegistry.start(at("registry"));
  const [program, ...words] = [...KUBESTICK, "bundle", "create", at("both.tar"), "--arch", ARCHS.join(",")];
  run(program!, [...words, "--from", ARCHS.map((arch) => at(`${arch}.tar`)).join(",")], 60_000);
  // Images of two architectures under one tag: skopeo copies our own index.
  const copy = ["copy", "-q", "--all", "--dest-tls-verify=false"];
  for (const name of UPSTREAM_IMAGES) {
    const [from, to] = [`oci-archive:${at("both.tar")}:registry.k8s.io/${name}`, `127.0.0.1:${registry.port}/${name}`];
    run("skopeo", [...copy, from, `docker://${to}`], 60_000);
  }
  const files = { amd64: standInBinaries(work, "amd64"), arm64: standInBinaries(work, "arm64") };
  const site = downloadSite((url) =>
    url.endsWith("runc.sha256sum")
      ? [...files.amd64, ...files.arm64]
      : files[url.includes("arm64") ? "arm64" : "amd64"],
  );
  return {
    registry,
    flags: ["--registry-mirror", registry.url, "--download-mirror", site.url],
    stop: () => {
      registry.stop();
      site.stop();
    },
  };
}

/** Runs kubestick without holding up the servers of this process. */
export async function kubestick(...args: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  return kubestickIn(process.cwd(), ...args);
}

/** As kubestick, in another directory. */
export async function kubestickIn(cwd: string, ...args: string[]) {
  const child = Bun.spawn([...KUBESTICK, ...args], { stdout: "pipe", stderr: "pipe", cwd });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { status: await child.exited, stdout, stderr };
}
