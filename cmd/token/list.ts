import { type ListedToken, listTokens } from "../../lib/index.ts";
import { formatTable } from "../../lib/ui/table.ts";
import { formatDuration } from "../../lib/util/duration.ts";
import { TOKEN_ARGS } from "../args/token.ts";
import { command } from "../command.ts";
import { environment } from "../flags.ts";

export default command({
  name: "list",
  description: "List bootstrap tokens on the server",
  kubeadm: true,
  args: TOKEN_ARGS,
  examples: [
    ["A table", "kubestick token list"],
    ["By another kubeconfig, for a program", "kubestick token list --kubeconfig cluster.conf --output json"],
  ],
  run: async ({ args, out }) => {
    const tokens = await listTokens({ kubeconfig: args.kubeconfig, environment: environment() });
    const now = new Date();
    out.print(table(tokens, now));
    out.report(
      tokens.map((token) => ({ ...token, ttl: timeLeft(token, now) })),
      // As kubeadm token list prints them.
      { bare: true },
    );
  },
});

function timeLeft({ expires }: ListedToken, now: Date): string {
  if (!expires) return "<forever>";
  const left = Math.round((expires.getTime() - now.getTime()) / 1000) * 1000;
  return left > 0 ? formatDuration(left) : "<invalid>";
}

function expiry({ expires }: ListedToken): string {
  if (!expires) return "<never>";
  return Number.isNaN(expires.getTime()) ? "<invalid>" : expires.toISOString().replace(/\.\d+Z$/, "Z");
}

function table(tokens: ListedToken[], now: Date): string {
  const rows = [
    ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"],
    ...tokens.map((t) => [
      t.token,
      timeLeft(t, now),
      expiry(t),
      t.usages.join(",") || "<none>",
      t.description || "<none>",
      t.groups.join(",") || "<none>",
    ]),
  ];
  return formatTable(rows);
}
