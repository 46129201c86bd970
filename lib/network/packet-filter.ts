import { findProgram } from "../host/facts.ts";
import { tryRun } from "../host/process.ts";
import type { Say } from "../ui/ui.ts";

/** kube-proxy leaves its rules when it ends: its own chains (iptables) or tables (nftables), and no others, are taken away. */
export function cleanPacketFilter(say: Say, warn: Say): void {
  for (const family of ["iptables", "ip6tables"]) {
    const [save, restore] = [findProgram(`${family}-save`), findProgram(`${family}-restore`)];
    if (!save || !restore) continue;
    const saved = tryRun(save, []);
    const removal = kubeRulesRemoval(saved.stdout);
    if (removal === "") continue;
    // Without --noflush everybody's rules would go and come again, counters and what others change meanwhile would not.
    const out = saved.status === 0 ? tryRun(restore, ["--noflush"], 30_000, removal) : saved;
    if (out.status === 0) say(`Removed kube-proxy's rules from ${family}`);
    else warn(`cannot remove kube-proxy's rules from ${family}: ${out.stderr.trim()}`);
  }
  const nft = findProgram("nft");
  if (nft) for (const family of ["ip", "ip6"]) tryRun(nft, ["delete", "table", family, "kube-proxy"]);
}

/**
 * What `iptables-restore --noflush` must read so that the chains that Kubernetes makes (all begin with KUBE-) and the
 * rules that lead into them go: out of what iptables-save printed. Empty when there are none.
 */
export function kubeRulesRemoval(saved: string): string {
  const lines = saved.split(/^(?=\*)/m).flatMap((table) => {
    const all = table.split("\n");
    const chains = all.flatMap((line) => /^:(KUBE-\S+)/.exec(line)?.[1] ?? []);
    // A comment may say anything.
    const jumps = all.filter((line) => /^-A (?!KUBE-).* -[jg] KUBE-/.test(line.replace(/"(\\.|[^"\\])*"/g, "")));
    if (chains.length === 0) return [];
    return [
      all[0],
      // To name a chain empties it; only then, and with no rule leading to it, can it be deleted.
      ...chains.map((chain) => `:${chain} - [0:0]`),
      ...jumps.map((line) => line.replace("-A", "-D")),
      ...chains.map((chain) => `-X ${chain}`),
      "COMMIT",
    ];
  });
  return lines.map((line) => `${line}\n`).join("");
}
