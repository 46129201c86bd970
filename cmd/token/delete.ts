import { splitToken } from "../../lib/bootstrap/token.ts";
import { deleteToken } from "../../lib/bootstrap/tokens.ts";
import { TOKEN_PATTERN } from "../../lib/constants/tokens.ts";
import { KubestickError, UsageError } from "../../lib/errors.ts";
import { TOKEN_ARGS } from "../args/token.ts";
import { command } from "../command.ts";
import { tokenIds, withCluster } from "./cluster.ts";

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
  run: async ({ args, out }) => {
    const ids = args._.map(idOf);
    if (ids.length === 0) throw new UsageError("which token?", "kubestick token list shows them");
    await withCluster(args.kubeconfig, async (client) => {
      const deleted: string[] = [];
      out.report({ deleted });
      for (const id of ids) {
        if (!(await deleteToken(client, id, new Date())))
          throw new KubestickError(`there is no token with the id ${id}`, {
            hint: "kubestick token list shows those there are",
            code: "not-found",
          });
        deleted.push(id);
        out.print(`bootstrap token "${id}" deleted`);
      }
    });
  },
});

function idOf(name: string): string {
  if (TOKEN_PATTERN.test(name)) return splitToken(name).id;
  if (/^[a-z0-9]{6}$/.test(name)) return name;
  throw new UsageError(
    "a token is named by its id (six characters) or written whole",
    "kubestick token list shows them",
  );
}
