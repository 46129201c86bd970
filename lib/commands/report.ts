/** Reports of commands that failed, by what they threw. */
const reports = new WeakMap<object, object>();

/** Keeps how far a command came, for whoever catches its error. */
export function keepReport(error: unknown, report: object): void {
  if (error !== null && typeof error === "object") reports.set(error, report);
}

/** The report of a command that failed, by the error that it threw: how far it came. Undefined for an error of something else. */
export const reportOf = (error: unknown): object | undefined =>
  error !== null && typeof error === "object" ? reports.get(error) : undefined;
