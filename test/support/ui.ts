import type { Ui } from "../../lib/ui/ui.ts";

/** A Ui that keeps what it was told. */
export function silentUi(lines: string[] = []): Ui {
  const keep = (text: string) => void lines.push(text);
  return {
    json: false,
    step: (phase, text) => keep(`[${phase}] ${text}`),
    warn: keep,
    detail: () => undefined,
    print: keep,
    live: () => undefined,
  };
}
