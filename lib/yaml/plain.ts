/** An object with fields of any names, as JSON and YAML have it. */
export type Plain = Record<string, unknown>;

/** Whether a value is an object that is not a list. */
export function isPlain(value: unknown): value is Plain {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Sets an own field, whatever its name: a `__proto__` out of a file must not reach the prototype. */
export function define(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
}

/** An own field, whatever its name: `constructor` and its like are not there unless somebody put them there. */
export function own<T>(object: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}
