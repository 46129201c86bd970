import { AGENT_SERVICE } from "../constants/network.ts";
import { RESIDENT_ENV, type ServiceSpec } from "../services/service.ts";

/** The node agent as a service; `command` runs this kubestick. */
export function agentService(command: string[]): ServiceSpec {
  const [program = "", ...args] = command;
  return {
    name: AGENT_SERVICE,
    description: "kubestick's node agent: routes and addresses of pods and Services",
    program,
    args: [...args, "node-agent"],
    env: RESIDENT_ENV,
    part: true,
  };
}
