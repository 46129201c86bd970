import { KubestickError } from "../errors.ts";
import { claimOf } from "../network/claims.ts";
import {
  applyServiceRoutes,
  recallServiceRanges,
  rememberServiceRanges,
  type ServiceRanges,
} from "../network/service-routes.ts";
import type { AgentContext, Controller } from "./controller.ts";

/** Keeps this host's routes to Services, whatever the pods' network is and whether the API server answers or not. */
export function serviceRoutes({ files, log, cluster }: AgentContext): Controller {
  let known: ServiceRanges = recallServiceRanges(files);
  const learn = (): void => {
    const { session } = cluster;
    if (!session) return;
    const told = session.node ? claimOf(session.node).addresses : [];
    // A Node that is not registered yet, or was deleted, has no addresses.
    const nodeAddresses = told.length > 0 ? told : known.nodeAddresses;
    known = { ranges: session.network.serviceRanges, nodeAddresses };
    rememberServiceRanges(files, known);
  };
  return {
    name: "service routes",
    reconcile() {
      learn();
      const { changes, refusals } = applyServiceRoutes(files, known);
      for (const change of changes) log(change);
      // An IPv6 address is of no use until nobody else has claimed it (RFC 4862): it is tried again.
      if (refusals.length > 0) throw new KubestickError(refusals.join("; "));
    },
  };
}
