import { KubestickError } from "../errors.ts";
import { claimOf } from "../network/claims.ts";
import { applyServiceRoutes, recallServiceRanges, rememberServiceRanges } from "../network/service-routes.ts";
import type { AgentContext } from "./context.ts";
import type { Controller } from "./controller.ts";

/** Keeps this host's routes to Services, whatever the pods' network is and whether the API server answers or not. */
export const serviceRoutes = ({ files, log, cluster }: AgentContext): Controller => ({
  name: "service routes",
  reconcile() {
    const { session } = cluster;
    const nodeAddresses = session?.node ? claimOf(session.node).addresses : [];
    const known = session
      ? rememberServiceRanges(files, { ranges: session.network.serviceRanges, nodeAddresses })
      : recallServiceRanges(files);
    const { changes, refusals } = applyServiceRoutes(files, known);
    for (const change of changes) log(change);
    // An IPv6 address is of no use until nobody else has claimed it (RFC 4862): it is tried again.
    if (refusals.length > 0) throw new KubestickError(refusals.join("; "));
  },
});
