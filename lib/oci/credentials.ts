import { KubestickError } from "../errors.ts";
import { isPlain } from "../yaml/plain.ts";
import { parseObject } from "./json.ts";
import { canonicalHost } from "./reference.ts";

/** What a registry is asked with: `user:password` in base64, as the Basic scheme sends it (RFC 7617). */
export interface Login {
  basic: string;
}

const keyOf = (host: string) => canonicalHost(host.toLowerCase());

/** The credentials of a Docker configuration file (`auths`), as docker, podman and skopeo write and read them. */
export class RegistryCredentials {
  readonly #logins = new Map<string, Login>();
  /** Registries that the file has no password for, and where it is instead. */
  readonly #elsewhere = new Map<string, string>();

  /** Where a registry's password is, when it is not in the file itself; undefined where nothing is said of it. */
  elsewhere(host: string): string | undefined {
    return this.#elsewhere.get(keyOf(host)) ?? this.#elsewhere.get("*");
  }

  /** The login for a repository: the one of the longest path that it lies below (containers-auth.json(5)). */
  find(host: string, repository: string): Login | undefined {
    const parts = [keyOf(host), ...repository.split("/").filter((part) => part !== "")];
    for (let length = parts.length; length > 0; length--) {
      const login = this.#logins.get(parts.slice(0, length).join("/"));
      if (login) return login;
    }
    return undefined;
  }

  /** Adds what a file has; what is there already stays. Throws KubestickError when the text is no such file. */
  add(text: string, file: string): this {
    const config = parseObject(Buffer.from(text), file);
    const auths = config["auths"] ?? {};
    if (!isPlain(auths)) throw new KubestickError(`${file}: its auths are no map of registries`);
    for (const [key, entry] of Object.entries(auths)) {
      const registry = registryOf(key);
      const basic = isPlain(entry) ? basicOf(entry) : undefined;
      if (basic !== undefined && !this.#logins.has(registry)) this.#logins.set(registry, { basic });
      else if (isPlain(entry) && typeof entry["identitytoken"] === "string")
        this.#elsewhere.set(registry, `${file} has an identity token for it, which kubestick cannot use`);
    }
    const helpers = isPlain(config["credHelpers"]) ? config["credHelpers"] : {};
    for (const [host, helper] of [...Object.entries(helpers), ["*", config["credsStore"]] as const])
      if (typeof helper === "string" && helper !== "")
        this.#elsewhere.set(
          host === "*" ? host : registryOf(host),
          `${file} leaves it to a program, docker-credential-${helper}, which kubestick does not ask`,
        );
    return this;
  }
}

/** A key of `auths` as host and path: it may be a URL, and Docker's end in the version of the interface. */
function registryOf(key: string): string {
  const [host = "", ...path] = key
    .trim()
    .replace(/^https?:\/\//i, "")
    .split("/")
    .filter((part) => part !== "");
  return [keyOf(host), ...(path.length === 1 && /^v[12]$/.test(path[0]!) ? [] : path)].join("/");
}

function basicOf({ auth, username, password }: Record<string, unknown>): string | undefined {
  const pair =
    typeof username === "string" && typeof password === "string" && username !== ""
      ? `${username}:${password}`
      : typeof auth === "string"
        ? Buffer.from(auth, "base64").toString("utf8")
        : "";
  // An empty password stands for a token that is kept beside it.
  return /^[^:]+:./s.test(pair) ? Buffer.from(pair).toString("base64") : undefined;
}
