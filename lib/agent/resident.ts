import { AGENT_SERVICE } from "../constants/network.ts";
import { LOG_DIR } from "../constants/paths.ts";
import { reason } from "../errors.ts";
import { neverInThePast } from "../host/clock.ts";
import { makeDirectory } from "../host/directories.ts";
import { Files } from "../host/files.ts";
import { note } from "../services/log.ts";
import { RESIDENT } from "../services/places.ts";
import { superviseServices } from "../services/resident.ts";
import { NodeAgent } from "./agent.ts";

/**
 * The one resident process of a node without a service manager: supervises containerd and the kubelet, and runs the node
 * agent. Ends as superviseServices does.
 */
export async function runResident(): Promise<void> {
  const log = (text: string) => note(AGENT_SERVICE, text);
  // Whatever goes wrong in one place, others go on.
  for (const event of ["uncaughtException", "unhandledRejection"])
    process.on(event, (error: unknown) => note(RESIDENT, `this is a bug in kubestick: ${reason(error)}`));
  const files = new Files("/");
  // Whichever of a host's services comes first: none of them may begin in the past.
  const clock = neverInThePast(files, new Date());
  makeDirectory(LOG_DIR);
  if (clock) log(clock);
  await superviseServices({ [AGENT_SERVICE]: new NodeAgent(files, log) });
}
