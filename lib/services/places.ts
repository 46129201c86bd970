import { LOG_DIR, RUN_DIR, SERVICES_DIR } from "../constants/paths.ts";

/** The file with a service's process id: its program's, or the resident process' where the service is a part of that. */
export const pidFile = (name: string) => `${RUN_DIR}/${name}.pid`;
/** Under which name the resident process itself has a file with its process id, and a log. */
export const RESIDENT = "resident";
/** The file with the resident process' id. */
export const RESIDENT_PID_FILE = pidFile(RESIDENT);
/** The file with a service's definition. */
export const specFile = (name: string) => `${SERVICES_DIR}/${name}.json`;
/** The file with a service's log. */
export const logFile = (name: string) => `${LOG_DIR}/${name}.log`;

/** What the resident process can be told to do with a service. */
export const ORDERS = ["restart", "stop"] as const;
/** One of ORDERS. */
export type Order = (typeof ORDERS)[number];
/**
 * A file that tells the resident process what to do with a service, once SIGHUP has made it look; it removes the file
 * when that is done. A file outlives whoever wrote it, and whoever was to read it.
 */
export const orderFile = (name: string, order: Order) => `${RUN_DIR}/${name}.${order}`;
