import type { ServiceManager } from "../host/facts.ts";
import type { Files } from "../host/files.ts";
import { openrc } from "./openrc.ts";
import type { ServiceManagerControl } from "./service.ts";
import { supervisor } from "./supervisor.ts";
import { systemd } from "./systemd.ts";

const MANAGERS: Record<ServiceManager, (files: Files) => ServiceManagerControl> = { systemd, openrc, none: supervisor };

/** The control of the service manager that runs on this host, or of kubestick's own where none does. */
export function serviceManager(kind: ServiceManager, files: Files): ServiceManagerControl {
  return MANAGERS[kind](files);
}
