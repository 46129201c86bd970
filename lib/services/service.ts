/** A service: a program that a host keeps running. This is data for a service manager, which knows none of them. */
export interface ServiceSpec {
  name: string;
  description: string;
  program: string;
  args: string[];
  /** Its environment, beside PATH. */
  env?: Record<string, string>;
  /** A file with more flags in a shell variable, read at each start: kubeadm-flags.env. */
  flagsFile?: { path: string; variable: string };
  /** More settings of a systemd unit's [Service] section. */
  systemd?: string[];
  /** Services that must run before it. */
  after?: string[];
  /** Whether it is a part of kubestick itself, which then is no process of its own where kubestick is the service manager. */
  part?: boolean;
}

/** How a host's service manager is told to run a service. */
export interface ServiceManagerControl {
  /** What it is, for messages. */
  readonly name: string;
  /**
   * Makes the service known and enabled; leaves a definition that somebody else made alone. Returns whether the
   * definition is new or changed.
   */
  install(spec: ServiceSpec): boolean;
  /** Whether the service is known by a definition that `install` made. */
  installed(name: string): boolean;
  /** Starts it, or starts it anew so that it reads its configuration again. */
  restart(name: string): Promise<void>;
  /** Stops it until it is started again, or the host starts. */
  stop(name: string): Promise<void>;
  /** Stops it and takes away the definition that `install` made; one that somebody else made stays, and is only stopped. */
  remove(name: string): Promise<void>;
  isActive(name: string): boolean;
  /** The command that shows its log. */
  logCommand(name: string): string;
}

/** Stands in every definition that kubestick writes, to know it again. */
export const WRITTEN_HERE = "# Written by kubestick.";

/**
 * The environment of kubestick's resident process. It mostly waits: code that is interpreted needs a fifth less memory
 * than compiled code, and boards have little.
 */
export const RESIDENT_ENV: Record<string, string> = { BUN_JSC_useJIT: "0" };
