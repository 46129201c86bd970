import { EnvHttpProxyAgent } from "undici/index.js";
import { UsageError } from "./errors.ts";

/**
 * An HTTP agent that goes through the proxies of the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, or in lower case). A
 * proxy without a scheme is one of plain HTTP, as curl has it. Throws UsageError for what is no URL; its value, which may
 * hold a password, is not shown.
 */
export function proxyAgent(options: { connections?: number } = {}): EnvHttpProxyAgent {
  const [httpProxy, httpsProxy] = [proxyOf("http_proxy"), proxyOf("https_proxy")];
  return new EnvHttpProxyAgent({
    ...options,
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
  });
}

function proxyOf(variable: string): string | undefined {
  // The lower case one wins (undici, curl).
  const name = [variable, variable.toUpperCase()].find((one) => process.env[one]);
  if (name === undefined) return undefined;
  const value = process.env[name]!.trim();
  const url = value.includes("/") ? value : `http://${value}`;
  if (/^https?:\/\/[^/]/.test(url) && URL.canParse(url))
    // A proxy is a host and a port; undici refuses a path.
    return Object.assign(new URL(url), { pathname: "/", search: "", hash: "" }).href;
  throw new UsageError(
    `${name} in the environment is no proxy's URL`,
    `write it as ${name}=http://proxy.lan:3128, or unset it`,
  );
}
