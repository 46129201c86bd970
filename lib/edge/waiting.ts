import type { Say } from "../ui/ui.ts";

/** What only others can do, such as a component that has been started: phases wait for it. */
export interface Waiting {
  /**
   * Runs what asks and waits. A dry run, in which nobody does anything, says `would` instead: "wait until the node n1
   * is registered".
   */
  on(would: string, say: Say, work: () => Promise<void>): Promise<void>;
  /** Whether a component has made a file by now; `there` says whether it is there. */
  made(there: boolean): boolean;
}

/** Waiting in a run that changes things. */
export const realWaiting: Waiting = {
  on: (_would, _say, work) => work(),
  made: (there) => there,
};

/** Waiting where nothing happens. */
export const dryWaiting: Waiting = {
  on: async (would, say) => say(`Would ${would}`),
  made: () => true,
};
