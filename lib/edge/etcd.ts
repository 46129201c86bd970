import { EtcdClient, EtcdError, type EtcdMember } from "../etcd/client.ts";
import type { Say } from "../ui/ui.ts";

/** A cluster of etcd whose members phases change. */
export class Etcd extends EtcdClient {
  /** Adds a learner, unless an earlier try did whose answer was lost, as on a card that takes its time to write. */
  async admit(peerUrl: string, say: Say): Promise<void> {
    try {
      await this.addLearner(peerUrl);
    } catch (error) {
      const known = error instanceof EtcdError && /already exist/i.test(error.message);
      if (!known || !(await this.list()).some((m) => m.peerUrls.includes(peerUrl))) throw error;
    }
    say(`Added this node to etcd as a learner (${peerUrl})`);
  }

  /** Gives a learner its vote. Throws EtcdError while it has not caught up. */
  async giveVote(id: string, say: Say): Promise<void> {
    await this.promote(id);
    say("The learner has caught up and was promoted");
  }

  /** Takes this node's member out; `more` ends what is said of it. */
  async dismiss(id: string, more: string, say: Say): Promise<void> {
    await this.remove(id);
    say(`Took this node out of etcd${more}`);
  }
}

/** A cluster of etcd that is only read: the member that it would admit is shown as a learner that has not started. */
export class DryEtcd extends Etcd {
  readonly #admitted: EtcdMember[] = [];

  override async list(): Promise<EtcdMember[]> {
    return [...(await super.list()), ...this.#admitted];
  }

  override async admit(peerUrl: string, say: Say): Promise<void> {
    this.#admitted.push({ id: "0", name: "", peerUrls: [peerUrl], clientUrls: [], learner: true });
    say(`Would join etcd as a learner (${peerUrl}), and be promoted when it has caught up`);
  }

  override async giveVote(): Promise<void> {}

  override async dismiss(_id: string, more: string, say: Say): Promise<void> {
    say(`Would take this node out of etcd${more}`);
  }
}
