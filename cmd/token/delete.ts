import { UsageError } from "../../lib/errors.ts";
import { deleteTokens, listTokens } from "../../lib/index.ts";
import { TOKEN_ARGS } from "../args/token.ts";
import { type Candidate, command, type Given } from "../command.ts";
import { environment } from "../flags.ts";

/** Nobody waits longer for a shell's suggestions. */
const COMPLETION_MS = 2_000;

/** The ids of the cluster's tokens, for a shell that completes one. */
async function tokenIds(given: Given): Promise<Candidate[]> {
  const kubeconfig = given.get("kubeconfig");
  const tokens = await listTokens({ kubeconfig, environment: environment(), callTimeoutMs: COMPLETION_MS });
  return tokens.map(({ token, description }) => ({ value: token.slice(0, 6), about: description }));
}

export default command({
  name: "delete",
  description: "Delete bootstrap tokens on the server",
  kubeadm: true,
  args: {
    token: {
      type: "positional",
      required: false,
      rest: true,
      description: "Tokens by their id (six characters), or whole.",
      completes: tokenIds,
    },
    ...TOKEN_ARGS,
  },
  examples: [
    ["By its id", "kubestick token delete abcdef"],
    ["Several at once", "kubestick token delete abcdef ghijkl"],
  ],
  run: async ({ args: { _: names, kubeconfig }, out }) => {
    if (names.length === 0) throw new UsageError("which token?", "kubestick token list shows them");
    const deleted: string[] = [];
    out.report({ deleted });
    const each = (id: string) => {
      deleted.push(id);
      out.print(`bootstrap token "${id}" deleted`);
    };
    await deleteTokens(names, { kubeconfig, environment: environment(), each });
  },
});
