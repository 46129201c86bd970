import { dryEdges, type Edges, realEdges } from "../../edge/edges.ts";
import type { HostFacts } from "../../host/facts.ts";
import type { Files } from "../../host/files.ts";
import { Ledger } from "../../host/ledger.ts";
import type { Ui } from "../../ui/ui.ts";
import { isLost } from "./lost-ledger.ts";

/** What `reset` was asked to do. */
export interface ResetOptions {
  dryRun: boolean;
  force: boolean;
  certificatesDir: string;
  criSocket: string;
  /** Asks the person at the console; false where they say no. Not there where nobody need be asked. */
  confirm?: () => Promise<boolean>;
}

/** What the phases of `reset` share. */
export class ResetContext {
  readonly ledger: Ledger;
  readonly edges: Edges;
  /** Whether what kubestick wrote here is not known any more; see isLost. */
  readonly lost: boolean;

  constructor(
    readonly facts: HostFacts,
    readonly files: Files,
    readonly ui: Ui,
    readonly options: ResetOptions,
  ) {
    this.ledger = new Ledger(files);
    this.lost = isLost(files, this.ledger);
    const { dryRun, criSocket } = options;
    this.edges = (dryRun ? dryEdges : realEdges)({ facts, files, ui, criSocket, bundle: undefined });
  }

  close(): void {
    this.edges.cri.close();
  }
}
