import { setTimeout as sleep } from "node:timers/promises";
import { readRoutes } from "../host/routes.ts";
import { formatCidr } from "../net/ip.ts";
import type { AgentContext } from "./context.ts";
import type { Controller } from "./controller.ts";

/** A default route comes with DHCP, and a cable that was pulled takes all. */
const LOOK_MS = 5_000;

/** Watches this host's routes, whoever changes them: every controller has to know. */
export const hostRoutes = ({ changed }: AgentContext): Controller => ({
  name: "host routes",
  async start(signal) {
    for (let before = routesNow(); ; ) {
      await sleep(LOOK_MS, undefined, { signal });
      const now = routesNow();
      if (now !== before) changed();
      before = now;
    }
  },
});

const routesNow = () =>
  readRoutes()
    .map((route) => `${formatCidr(route.cidr)} ${route.gateway} ${route.interface} ${route.metric}`)
    .sort()
    .join();
