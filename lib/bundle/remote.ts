import { homedir } from "node:os";
import { join } from "node:path";
import { reason, UsageError } from "../errors.ts";
import { isThere } from "../host/file-system.ts";
import { readPlainText } from "../host/plain-file.ts";
import { Downloader } from "../net/download.ts";
import { RegistryCredentials } from "../oci/credentials.ts";
import { Registry } from "../oci/registry.ts";

const MAX_CREDENTIALS_BYTES = 1024 * 1024;

/** Where a bundle's contents are downloaded from. */
export interface RemoteOptions {
  /** Where a registry's images are had instead, by host; `*` for every one. */
  mirrors: Map<string, string>;
  /** Hosts with their port that may be asked over plain HTTP. */
  insecure: string[];
  /** A file of credentials; without one the user's own are looked for when they are needed. */
  registryConfig?: string | undefined;
  /** A URL that is put before the host and path of each host binary's address. */
  downloadMirror?: string | undefined;
}

/** The registries, asked as the options say. Close its downloader when done. Throws UsageError for credentials that cannot be read. */
export function openRegistry({ mirrors, insecure, registryConfig }: RemoteOptions): Registry {
  // A file that was named is wrong at once, the user's own only when it is needed.
  const read = (files: string[]) =>
    files.reduce((all, file) => all.add(readText(file, MAX_CREDENTIALS_BYTES), file), new RegistryCredentials());
  let credentials = registryConfig === undefined ? undefined : read([registryConfig]);
  return new Registry(new Downloader(insecure), {
    mirrors,
    credentials: () => {
      credentials ??= read(ownCredentialFiles(process.env).filter((file) => isThere(file)));
      return credentials;
    },
  });
}

/** Where skopeo, podman and docker keep what their `login` was told, in the order in which they count. */
function ownCredentialFiles(env: Record<string, string | undefined>): string[] {
  const { REGISTRY_AUTH_FILE: auth, XDG_RUNTIME_DIR: runtime, DOCKER_CONFIG: docker } = env;
  return [
    ...(auth ? [auth] : []),
    join(runtime || `/run/containers/${process.getuid?.() ?? 0}`, runtime ? "containers/auth.json" : "auth.json"),
    join(homedir(), ".config/containers/auth.json"),
    join(docker || join(homedir(), ".docker"), "config.json"),
  ];
}

/** A plain file's text, of at most so many bytes. Throws UsageError. */
export function readText(file: string, limit?: number): string {
  try {
    return readPlainText(file, limit);
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${reason(error)}`);
  }
}
