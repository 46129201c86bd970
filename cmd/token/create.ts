import { renderUnicodeCompact } from "uqr";
import { UsageError } from "../../lib/errors.ts";
import { type CreatedToken, type CreateTokensOptions, createTokens } from "../../lib/index.ts";
import { list } from "../args/common.ts";
import { TOKEN_ARGS } from "../args/token.ts";
import { args, command, type Run } from "../command.ts";
import { environment } from "../flags.ts";

const MAX_COUNT = 1000;

const ARGS = args({
  token: { type: "positional", required: false, description: "The token to make (default: a random one)." },
  "certificate-key": {
    type: "string",
    description:
      "With --print-join-command, print the command that joins a control plane; the key that init --upload-certs printed.",
    valueHint: "key",
  },
  count: {
    type: "string",
    description: "How many tokens to make: one slip each for a classroom.",
    valueHint: "number",
    own: true,
  },
  description: {
    type: "string",
    description: "A human friendly description of how this token is used.",
    valueHint: "text",
  },
  groups: {
    type: "string",
    description: "Extra groups that this token will authenticate as.",
    valueHint: "groups",
    list: true,
  },
  "print-join-command": {
    type: "boolean",
    description: "Instead of printing only the token, print the full join command.",
  },
  qr: { type: "boolean", description: "Print each join command as a QR code too.", own: true },
  "single-use": {
    type: "boolean",
    description: "Each token is for one node: the node that joins with it deletes it. Implied by --count.",
    own: true,
  },
  ttl: {
    type: "string",
    description: "The duration before the token is deleted (e.g. 1s, 2m, 3h). '0' never expires (default 24h0m0s).",
    valueHint: "duration",
  },
  usages: {
    type: "string",
    description: "The ways in which this token can be used: signing, authentication.",
    valueHint: "usages",
    list: true,
    completes: ["signing", "authentication"],
  },
  ...TOKEN_ARGS,
});

type Context = Run<typeof ARGS>;

export default command({
  name: "create",
  description: "Create bootstrap tokens on the server",
  kubeadm: true,
  args: ARGS,
  examples: [
    ["The whole command for the next node", "kubestick token create --print-join-command"],
    ["Thirty slips for a class, each for one node", "kubestick token create --count 30 --print-join-command --ttl 3h"],
    ["For a camera", "kubestick token create --qr"],
  ],
  topics: ["join-security", "usb-stick"],
  run: async ({ args, out }) => {
    const made = await createTokens(asked(args));
    out.print(sheet(made, args));
    out.report(made.length === 1 ? made[0] : made);
  },
});

/** What a fault calls the fields of a token. */
const NAMES = {
  "bootstrapTokens[0].token": "token",
  "bootstrapTokens[0].ttl": "--ttl",
  "bootstrapTokens[0].groups": "--groups",
  "bootstrapTokens[0].usages": "--usages",
};

function asked(args: Context["args"]): CreateTokensOptions {
  const count = args.count === undefined ? 1 : Number(args.count);
  if (!Number.isInteger(count) || count < 1 || count > MAX_COUNT)
    throw new UsageError(`--count is a number from 1 to ${MAX_COUNT}, not ${JSON.stringify(args.count)}`);
  if (args.token !== undefined && count > 1)
    throw new UsageError("a token was given, and --count asks for several", "leave one of the two out");
  const certificateKey = args["certificate-key"];
  if (certificateKey !== undefined && !/^[0-9a-f]{64}$/i.test(certificateKey))
    throw new UsageError("--certificate-key is 64 hexadecimal digits", "init --upload-certs prints it");
  return {
    kubeconfig: args.kubeconfig,
    environment: environment(),
    token: args.token,
    count,
    ttl: args.ttl,
    description: args.description,
    usages: list(args.usages),
    groups: list(args.groups),
    singleUse: args["single-use"] === true || args.count !== undefined,
    certificateKey,
    names: NAMES,
  };
}

/** The tokens or commands as text: one a line, or with QR codes one a paragraph, to be cut into slips. */
function sheet(made: CreatedToken[], args: Context["args"]): string {
  const whole = args.qr || args["print-join-command"];
  const lines = made.map(({ joinCommand, token }) => (whole ? joinCommand : token));
  return args.qr
    ? lines.map((line) => `${line}\n${renderUnicodeCompact(line, { ecc: "L", border: 2 })}\n`).join("\n")
    : lines.join("\n");
}
