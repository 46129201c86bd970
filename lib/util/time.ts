const TIME = /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d([.,]\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** What is wrong with the text of a moment (RFC 3339, as metav1.Time reads it), with the fix; undefined where nothing is. */
export function timeProblem(text: string): string | undefined {
  const [, day] = TIME.exec(text) ?? [];
  if (day === undefined) return "must be a time such as 2026-12-31T12:00:00Z";
  const date = new Date(day);
  // JavaScript takes 30 February for 2 March, and may leave the year 9999 for another time zone's sake.
  const there = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day) && /^\d{4}-/.test(toTime(text));
  return there ? undefined : "is a day that the calendar does not have";
}

/** A moment in UTC, to the second, as Kubernetes writes it: 2026-12-31T12:00:00Z. Takes a text that `timeProblem` passes. */
export function toTime(text: string | Date): string {
  const date = typeof text === "string" ? new Date(text.replace(",", ".")) : text;
  return date.toISOString().replace(/\.\d+Z$/, "Z");
}
