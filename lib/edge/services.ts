import type { ServiceManagerControl } from "../services/service.ts";
import type { Say } from "../ui/ui.ts";

/** A host's services as phases change them: really, or in a dry run in words alone. */
export interface Services extends ServiceManagerControl {
  /** Starts a service, or starts it anew, and says so; `title` is what a person calls it. */
  start(name: string, title: string, say: Say): Promise<void>;
  /** Stops services, takes away the definitions that `install` made of them, and says so. */
  end(names: string[], title: string, say: Say): Promise<void>;
}

/** The services of a service manager. */
export function realServices(manager: ServiceManagerControl): Services {
  return {
    ...manager,
    async start(name, title, say) {
      await manager.restart(name);
      say(`Starting ${title} under ${manager.name}`);
    },
    async end(names, title, say) {
      say(`Stopping ${title}`);
      for (const name of names) await manager.remove(name);
    },
  };
}

/** Services of which none runs, is started or stopped. */
export function dryServices({ name, logCommand, installed }: ServiceManagerControl): Services {
  const nothing = async () => undefined;
  return {
    name,
    logCommand,
    installed,
    install: () => true,
    isActive: () => false,
    restart: nothing,
    stop: nothing,
    remove: nothing,
    start: async (_, title, say) => say(`Would start ${title} under ${name}`),
    end: async (_, title, say) => say(`Would stop ${title}`),
  };
}
