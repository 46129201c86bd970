import { EXIT, KubestickError, reason } from "../errors.ts";
import type { Ui } from "../ui/ui.ts";

/** What a check found: nothing, something to know, or something that stops the command. */
export interface Finding {
  level: "error" | "warning";
  message: string;
  /** What to do about it. */
  fix?: string;
  /** kubeadm's more exact name, where one check looks at several things (`Port-6443`). */
  name?: string;
}

/** A preflight check, as data. Names are kubeadm's where it has the check, for `--ignore-preflight-errors`. */
export interface Check<C> {
  name: string;
  /** Why it is checked: shown with what stops the command, and with -v beside a warning. */
  why: string;
  run: (ctx: C) => Finding[] | Promise<Finding[]>;
}

/** A finding that stops the command. */
export const error = (message: string, fix?: string): Finding[] => [{ level: "error", message, fix }];
/** A finding that is only told. */
export const warning = (message: string, fix?: string): Finding[] => [{ level: "warning", message, fix }];

const lowerCase = (names: Set<string>) => new Set([...names].map((name) => name.toLowerCase()));

/** Tells the names in `--ignore-preflight-errors` that no check of the command has. */
export function warnOfUnknown(checks: { name: string }[], ignored: Set<string>, ui: Ui): void {
  const known = checks.map(({ name }) => name.toLowerCase());
  for (const name of lowerCase(ignored))
    if (name !== "all" && !known.some((check) => name === check || name.startsWith(`${check}-`)))
      ui.warn(`[preflight] --ignore-preflight-errors names no check: ${name}`);
}

/**
 * Runs every check and reports all that they find together. Errors of an ignored check (by name, any case, or `all`)
 * become warnings. Throws KubestickError with exit code 3 when an error remains.
 */
export async function runChecks<C>(checks: Check<C>[], ctx: C, ui: Ui, ignored: Set<string>): Promise<void> {
  const ignore = lowerCase(ignored);
  const fatal: string[] = [];
  let failed = 0;
  for (const check of checks) {
    const findings = await Promise.resolve(check.run(ctx)).catch((e: unknown) =>
      error(reason(e), (e as KubestickError).hint),
    );
    const stops: string[] = [];
    for (const { level, message, fix, name = check.name } of findings) {
      const text = `[${name}] ${message}${fix ? `; ${fix}` : ""}`;
      const passed = ["all", check.name.toLowerCase(), name.toLowerCase()].some((n) => ignore.has(n));
      if (level === "error" && !passed) stops.push(text);
      else ui.warn(`[preflight] ${text}`);
    }
    const why = `why: ${check.why}`;
    failed += stops.length;
    if (stops.length > 0) fatal.push(...stops, `  ${why}`);
    else if (findings.length > 0) ui.detail(`[preflight] [${check.name}] ${why}`);
  }
  if (failed === 0) return;
  throw new KubestickError(
    `${failed} preflight ${failed === 1 ? "check" : "checks"} failed:\n${fatal.map((line) => `  ${line}`).join("\n")}`,
    {
      exitCode: EXIT.preflight,
      hint: "fix the above and run the same command again; --ignore-preflight-errors=NAME,... makes a check a warning",
    },
  );
}
