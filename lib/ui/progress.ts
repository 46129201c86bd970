import type { Ui } from "./ui.ts";

const TERMINAL_MS = 200;
/** A log file wants a line now and then. */
const LOG_MS = 5_000;

/** A live line for a long job, drawn not more often than a person can read; each call gives what to show then. */
export function progressLine(ui: Ui, phase: string): (render: () => string) => void {
  const every = ui.terminal ? TERMINAL_MS : LOG_MS;
  let last = performance.now();
  return (render) => {
    const now = performance.now();
    if (now - last < every) return;
    last = now;
    ui.live(phase, [render()]);
  };
}
