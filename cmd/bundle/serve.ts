import { networkInterfaces } from "node:os";
import { UsageError } from "../../lib/errors.ts";
import { joinHostPort, splitHostPort } from "../../lib/net/ip.ts";
import { offerFiles } from "../../lib/serve/offer.ts";
import { serve } from "../../lib/serve/serve.ts";
import { isCompiled } from "../../lib/services/executable.ts";
import { OWN_ARCH, READ_ARGS } from "../args/bundle.ts";
import { COMMON_ARGS, list } from "../args/common.ts";
import { command } from "../command.ts";
import { withBundle } from "./open.ts";

const PORT = 5080;

export default command({
  name: "serve",
  description: "Offer the executable, the bundle and a read-only registry to the LAN",
  args: {
    file: READ_ARGS.file,
    listen: {
      type: "string",
      description: `Address and port to listen on (default 0.0.0.0:${PORT}).`,
      valueHint: "host:port",
    },
    "server-name": {
      type: "string",
      description: "Names and addresses that it answers to besides this host's own.",
      valueHint: "names",
      list: true,
    },
    ...COMMON_ARGS,
  },
  examples: [
    ["The bundle that this executable carries; prints what to type on the boards", "kubestick bundle serve"],
    ["On one address alone", "kubestick bundle serve bundle.tar --listen 192.168.1.10:5080"],
  ],
  run: async ({ args, out }) => {
    const text = args.listen ?? `0.0.0.0:${PORT}`;
    const listen = splitHostPort(text.startsWith(":") ? `0.0.0.0${text}` : text);
    if (!listen) throw new UsageError(`--listen takes HOST:PORT, not ${JSON.stringify(text)}`);
    const compiled = isCompiled();
    await withBundle(args.file, async (bundle) => {
      out.ui.step("serve", `Reading ${bundle.path} for its SHA-256`);
      const offered = offerFiles(bundle, compiled ? { path: process.execPath, arch: OWN_ARCH } : undefined);
      const names = list(args["server-name"]);
      const server = serve(bundle, offered, { hostname: listen.host, port: listen.port ?? PORT, names });
      const here = listen.host === "0.0.0.0" || listen.host === "::" ? ownAddress() : listen.host;
      const base = `http://${joinHostPort(here, server.port)}`;
      const first = compiled ? "kubestick" : "bundle.tar";
      out.report({ file: bundle.path, url: base, files: Object.keys(offered) });
      out.now("serving");
      out.ui.print(`Serving ${bundle.path} at ${base}
On another board:
  curl -fO ${base}/${first}
  echo "${offered[first]!.sha256}  ${first}" | sha256sum -c${compiled ? ` && chmod +x ${first}` : ""}
As a mirror of any registry: kubestick init --registry-mirror '*=${base}'
Stop with Ctrl-C.`);
      await new Promise<void>((done) => {
        process.once("SIGINT", () => done());
        process.once("SIGTERM", () => done());
      });
      await server.stop();
    });
  },
});

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return all.find((a) => !a.internal && a.family === "IPv4")?.address ?? "127.0.0.1";
}
