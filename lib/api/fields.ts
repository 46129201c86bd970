/** What a server sent, read field by field: a field of another type than it should have counts as not there. */

type Fields = Record<string, unknown>;

/** A mapping; undefined for anything else. */
export function mapOf(value: unknown): Fields | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** The mappings of a list. */
export function mapsOf(value: unknown): Fields[] {
  return Array.isArray(value) ? value.map(mapOf).filter((entry) => entry !== undefined) : [];
}

/** A text; empty for anything else. */
export function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The texts of a mapping, such as the data of a ConfigMap or Secret, or labels; empty for anything else. */
export function textsOf(value: unknown): Record<string, string> {
  const texts = Object.entries(mapOf(value) ?? {}).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(texts);
}

/** An object's conditions, `status.conditions` (meta/v1 Condition). */
export function conditionsOf(object: unknown): { type: string; status: string; message: string }[] {
  const { conditions } = mapOf(mapOf(object)?.["status"]) ?? {};
  return mapsOf(conditions).map(({ type, status, message }) => ({
    type: textOf(type),
    status: textOf(status),
    message: textOf(message),
  }));
}

/** Whether a value is an object with a name, as everything in the API is. */
export function isNamed(value: unknown): boolean {
  return textOf(mapOf(mapOf(value)?.["metadata"])?.["name"]) !== "";
}

/** A page of a list: its objects, and what asks for the next one. Undefined when it is none. */
export function pageOf(value: unknown): { items: unknown[]; next: string; resourceVersion: string } | undefined {
  const page = mapOf(value);
  const items = page?.["items"] ?? [];
  if (!page || !Array.isArray(items) || !items.every(isNamed)) return undefined;
  const metadata = mapOf(page["metadata"]);
  return { items, next: textOf(metadata?.["continue"]), resourceVersion: textOf(metadata?.["resourceVersion"]) };
}
