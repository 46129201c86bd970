import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { requireEmbeddedLock } from "../../lib/bundle/embedded.ts";
import { type BundleLock, formatLock, parseLock } from "../../lib/bundle/lock.ts";
import { mirrored } from "../../lib/bundle/lock-binary.ts";
import { KUBERNETES_VERSION } from "../../lib/constants/versions.ts";
import { errno, reason } from "../../lib/errors.ts";
import { parseMirrors } from "../../lib/oci/mirrors.ts";
import { parseReference } from "../../lib/oci/reference.ts";
import { EXECUTABLE, ROOT } from "./executable.ts";

const ARCH = process.arch === "arm64" ? "arm64" : "amd64";
/** Whoever has no network should not have to wait for the answer. */
const PROBE_MS = 5_000;

/** The flags of `bundle create` that the quickstart takes and hands on. */
export interface FetchFlags {
  lock?: string;
  "registry-mirror"?: string;
  "download-mirror"?: string;
}

/** A bundle that was made and kept, or how it would be: where it lies, and the command that makes it. */
export function fetchedBundle(flags: FetchFlags): { file: string; lock: BundleLock; command: string[] } {
  const lock = flags.lock
    ? parseLock(readFileSync(flags.lock, "utf8"), flags.lock)
    : requireEmbeddedLock(KUBERNETES_VERSION);
  // Another lock is another bundle.
  const key = createHash("sha256").update(formatLock(lock)).digest("hex").slice(0, 8);
  const file = join(ROOT, "build", `kubernetes-${lock.kubernetesVersion}-${ARCH}-${key}.tar`);
  const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value as string]);
  return { file, lock, command: [EXECUTABLE, "bundle", "create", file, ...given] };
}

/** Whether a kept bundle is there and whole; a damaged one is removed. */
export function isKept(file: string, run: (...command: string[]) => boolean): boolean {
  if (!existsSync(file)) return false;
  if (run(EXECUTABLE, "bundle", "verify", file)) return true;
  rmSync(file);
  return false;
}

/** Why not all of a lock's parts can be downloaded, in words; undefined when every host that has some answers. */
export async function unreachable(lock: BundleLock, flags: FetchFlags): Promise<string | undefined> {
  const mirrors = parseMirrors(flags["registry-mirror"]?.split(",") ?? []);
  const registries = lock.images.map(({ name }) => {
    const { host } = parseReference(name);
    return `${mirrors.get(host) ?? mirrors.get("*") ?? `https://${host}`}/v2/`;
  });
  const files = lock.binaries.flatMap(({ files }) => files[ARCH] ?? []);
  const sites = files.map(({ url }) => `${new URL(mirrored(url, flags["download-mirror"])).origin}/`);
  const hosts = new Map<string, string[]>();
  await Promise.all(
    [...new Set([...registries, ...sites])].map(async (url) => {
      try {
        // Whatever it answers, it is there.
        await fetch(url, { redirect: "manual", signal: AbortSignal.timeout(PROBE_MS) });
      } catch (error) {
        const late = (error as Error).name === "TimeoutError";
        const why = late ? `nothing within ${PROBE_MS / 1000} s` : (errno(error) ?? reason(error));
        hosts.set(why, [...new Set([...(hosts.get(why) ?? []), new URL(url).host])]);
      }
    }),
  );
  const told = [...hosts].map(([why, names]) => `no answer from ${names.join(", ")} (${why})`);
  return told.length > 0 ? told.join("; ") : undefined;
}
