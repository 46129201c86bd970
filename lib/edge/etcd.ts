import { EtcdClient } from "../etcd/client.ts";
import type { Say } from "../ui/ui.ts";

/** A cluster of etcd that phases ask and change. */
export class Etcd extends EtcdClient {
  /** Takes a member out and says so; `more` ends what is said of it. */
  async dismiss(id: string, more: string, say: Say): Promise<void> {
    await this.remove(id);
    say(`Took this node out of etcd${more}`);
  }
}

/** A cluster of etcd that is only read. */
export class DryEtcd extends Etcd {
  override addLearner = async () => undefined;
  override promote = async () => undefined;
  override remove = async () => undefined;

  override async dismiss(_id: string, more: string, say: Say): Promise<void> {
    say(`Would take this node out of etcd${more}`);
  }
}
