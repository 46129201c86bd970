import type { Ui } from "./ui.ts";

/** A Ui that says nothing: whoever uses kubestick as a library reads reports, or brings a Ui of their own. */
export const QUIET: Ui = {
  json: false,
  step: () => undefined,
  warn: () => undefined,
  detail: () => undefined,
  print: () => undefined,
  live: () => undefined,
};
