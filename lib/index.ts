/**
 * kubestick as a library: what the command line does, with options in and reports out. Nothing here writes to standard
 * output or takes a setting from the process's environment: `ui` is told of progress, `environment` names proxies and
 * kubeconfigs. Failures are thrown: KubestickError has what failed, and as `hint` what to do. Runs under Bun, on Linux.
 *
 * ```ts
 * import { createToken, init, reset } from "kubestick";
 *
 * const { server, join } = await init({ bundle: "/media/stick/bundle.tar", network: "flat" });
 * const { joinCommand } = await createToken({ ttl: "2h0m0s" });
 * await reset({ force: true });
 * ```
 */

import type { ListedToken } from "./cluster/tokens.ts";
import type { InitOptions, InitReport } from "./commands/init.ts";
import type { JoinOptions, JoinReport } from "./commands/join.ts";
import type { ResetOptions, ResetReport } from "./commands/reset.ts";
import type { ClusterOptions, CreatedToken, CreateTokensOptions } from "./commands/tokens.ts";

export type { ListedToken } from "./cluster/tokens.ts";
export type { InitOptions, InitReport, NodeSetup } from "./commands/init.ts";
export type { JoinOptions, JoinReport } from "./commands/join.ts";
export type { ResetOptions, ResetReport } from "./commands/reset.ts";
export type { RunOptions } from "./commands/run.ts";
export { reportOf } from "./commands/run.ts";
export type { ClusterOptions, CreatedToken, CreateTokensOptions } from "./commands/tokens.ts";
export { KubestickError, UsageError } from "./errors.ts";
export type { PhaseResult } from "./phases/runner.ts";
export type { Ui } from "./ui/ui.ts";

// Each is loaded when it is first called: who makes a token does not load what sets up a node.

/** Sets up the first control plane of a cluster on this host; see lib/commands/init.ts. */
export const init = async (options: InitOptions = {}): Promise<InitReport> =>
  (await import("./commands/init.ts")).init(options);

/** Joins this host to a cluster, as a worker or a control plane; see lib/commands/join.ts. */
export const join = async (options: JoinOptions): Promise<JoinReport> =>
  (await import("./commands/join.ts")).join(options);

/** Takes everything off this host that kubestick put on it; see lib/commands/reset.ts. */
export const reset = async (options: ResetOptions = {}): Promise<ResetReport> =>
  (await import("./commands/reset.ts")).reset(options);

/** Makes a bootstrap token that works at once, and gives the command that joins a node with it. */
export const createToken = async (options: Omit<CreateTokensOptions, "count"> = {}): Promise<CreatedToken> =>
  (await import("./commands/tokens.ts")).createToken(options);

/** As createToken, for several. */
export const createTokens = async (options: CreateTokensOptions): Promise<CreatedToken[]> =>
  (await import("./commands/tokens.ts")).createTokens(options);

/** A new random token, which no cluster knows yet. */
export const generateToken = async (): Promise<string> => (await import("./cluster/tokens.ts")).newToken();

/** Every bootstrap token of a cluster, in order of their ids. */
export const listTokens = async (options: ClusterOptions = {}): Promise<ListedToken[]> =>
  (await import("./commands/tokens.ts")).listTokens(options);

/** Deletes tokens, by their ids or whole; gives the ids. */
export const deleteTokens = async (
  names: string[],
  options: ClusterOptions & { each?: (id: string) => void } = {},
): Promise<string[]> => (await import("./commands/tokens.ts")).deleteTokens(names, options);
