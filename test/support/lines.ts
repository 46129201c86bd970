/** A value as one line, also for those who end lines at U+2028 (node:readline). */
export const asLine = (value: unknown): string =>
  `${JSON.stringify(value).replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`;
