import { reason } from "../errors.ts";
import type { Files } from "../host/files.ts";
import {
  applyServiceRoutes,
  recallServiceRanges,
  rememberServiceRanges,
  type ServiceRanges,
} from "../network/service-routes.ts";

/** Keeps this host's routes to Services, whatever the pods' network is and whether the API server answers or not. */
export class ServiceRoutes {
  readonly #files: Files;
  readonly #log: (text: string) => void;
  #known: ServiceRanges;
  #refusals = "";

  constructor(files: Files, log: (text: string) => void) {
    this.#files = files;
    this.#log = log;
    this.#known = recallServiceRanges(files);
  }

  /** Takes in what the cluster says. */
  learn(said: ServiceRanges): void {
    this.#known = rememberServiceRanges(this.#files, said);
    this.reconcile();
  }

  /** Whether the kernel refused something last time: an IPv6 address is of no use until nobody else has claimed it (RFC 4862). */
  get refused(): boolean {
    return this.#refusals !== "";
  }

  /** Brings the routes in line. What the kernel refuses is tried again each time, and said once. */
  reconcile(): void {
    try {
      const { changes, refusals } = applyServiceRoutes(this.#files, this.#known);
      for (const change of changes) this.#log(change);
      if (refusals.join() !== this.#refusals) for (const refusal of refusals) this.#log(refusal);
      this.#refusals = refusals.join();
    } catch (error) {
      this.#log(reason(error));
    }
  }
}
