import { oneLine } from "./text.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes for a person to read: 512 B, 3.4 MiB. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < UNITS.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** Rows as text in columns, the last one not padded; each row is one line, safe for a terminal. */
export function formatTable(table: string[][]): string {
  const rows = table.map((row) => row.map(oneLine));
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows
    .map((row) => row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i]!))).join("   "))
    .join("\n");
}
