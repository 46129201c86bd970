import type { HostFacts } from "../../host/facts.ts";
import type { Files } from "../../host/files.ts";
import { Ledger } from "../../host/ledger.ts";
import { Cri } from "../../runtime/cri.ts";
import { serviceManager } from "../../services/manager.ts";
import type { ServiceManagerControl } from "../../services/service.ts";
import type { Ui } from "../../ui/ui.ts";
import { isLost } from "./lost-ledger.ts";

/** What `reset` was asked to do. */
export interface ResetOptions {
  dryRun: boolean;
  force: boolean;
  certificatesDir: string;
  criSocket: string;
  /** Asks the person at the console; false where they say no. */
  confirm: () => Promise<boolean>;
}

/** What the phases of `reset` share. */
export class ResetContext {
  readonly ledger: Ledger;
  readonly services: ServiceManagerControl;
  readonly cri: Cri;
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
    this.services = serviceManager(facts.serviceManager, files);
    this.cri = new Cri(options.criSocket);
  }

  close(): void {
    this.cri.close();
  }
}
