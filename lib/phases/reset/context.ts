import { type Host, type HostOptions, openHost } from "../../edge/node.ts";
import { isLost } from "./lost-ledger.ts";

/** What `reset` was asked to do. */
export interface ResetAsked {
  /** Go on without asking, also where files were changed since kubestick wrote them. */
  force: boolean;
  certificatesDir: string;
  /** Asks the person at the console; false where they say no. Not there where nobody need be asked. */
  confirm?: () => Promise<boolean>;
}

/** What the phases of `reset` work on. */
export interface Reset extends Host {
  asked: ResetAsked;
  /** Whether what kubestick wrote here is not known any more; see isLost. */
  lost: boolean;
}

/** Makes what the phases of `reset` work on. Nothing is changed yet. */
export function openReset(host: HostOptions, asked: ResetAsked): Reset {
  const opened = openHost(host);
  return { ...opened, asked, lost: isLost(opened.files, opened.ledger) };
}
