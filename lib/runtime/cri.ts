import { KubestickError } from "../errors.ts";
import { GRPC, GrpcClient, GrpcError } from "./grpc.ts";
import * as pb from "./protobuf.ts";

/** A container as the CRI reports it. `logPath` is a file below /var/log/pods. */
export interface Container {
  id: string;
  name: string;
  pod: string;
  namespace: string;
  state: "created" | "running" | "exited" | "unknown";
  attempt: number;
  /** Nanoseconds since the epoch. */
  createdAt: bigint;
}

/** A pod's sandbox as the CRI reports it. */
export interface Sandbox {
  id: string;
  pod: string;
  namespace: string;
  /** Nanoseconds since the epoch. */
  createdAt: bigint;
}

/** Why and how a container ended. */
export interface ContainerStatus {
  state: Container["state"];
  /** Nanoseconds since the epoch; 0 while it runs. */
  finishedAt: bigint;
  exitCode: number;
  reason: string;
  message: string;
  logPath: string;
}

/** A container is given time to end by itself. */
const SLOW_CALL_MS = 60_000;
const STATES = ["created", "running", "exited", "unknown"] as const;

/**
 * The CRI client (k8s.io/cri-api runtime/v1 api.proto; field numbers are from there): versions, cgroup driver,
 * containers and images of the runtime behind a `unix://` socket. Every call throws KubestickError with the socket's name.
 */
export class Cri {
  /** The socket's address, `unix://` and a path. */
  readonly socket: string;
  #client: GrpcClient | undefined;

  constructor(criSocket: string) {
    this.socket = criSocket;
  }

  close(): void {
    this.#client?.close();
    this.#client = undefined;
  }

  /** The connection; a new one after a failure, since the runtime may have been started since. */
  get #connection(): GrpcClient {
    this.#client ??= new GrpcClient(this.socket.replace(/^unix:\/\//, ""));
    return this.#client;
  }

  async #call(
    service: "Runtime" | "Image",
    method: string,
    request: Buffer = Buffer.alloc(0),
    timeoutMs?: number,
  ): Promise<pb.Fields> {
    try {
      return pb.decode(await this.#connection.call(`/runtime.v1.${service}Service/${method}`, request, timeoutMs));
    } catch (error) {
      if (error instanceof GrpcError && error.status >= 0) throw error;
      this.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new KubestickError(`the container runtime at ${this.socket} does not answer (${why})`, {
        code: "runtime",
        hint: "is containerd running, and is this its socket? try: ls -l /run/containerd/; or name another with --cri-socket",
        cause: error,
      });
    }
  }

  /** The runtime's name and version, such as `containerd` `v2.1.9`. */
  async version(): Promise<{ name: string; version: string }> {
    const reply = await this.#call("Runtime", "Version", pb.encode([[1, "v1"]]));
    return { name: pb.text(reply, 2), version: pb.text(reply, 3) };
  }

  /**
   * The cgroup driver that the runtime uses: by RuntimeConfig (KEP-4033), or, where the runtime is older, by what
   * containerd says of its runc options in Status. Undefined when the runtime does not tell.
   */
  async cgroupDriver(): Promise<"systemd" | "cgroupfs" | undefined> {
    const config = await this.#runtimeConfig();
    if (config) return pb.integer(pb.message(config, 1), 1) === 1 ? "cgroupfs" : "systemd";
    const status = await this.#call("Runtime", "Status", pb.encode([[1, true]]));
    return cgroupDriverFromInfo(pb.stringMap(status, 2)["config"]);
  }

  /** Whether the runtime tells its cgroup driver by RuntimeConfig (KEP-4033). */
  async hasRuntimeConfig(): Promise<boolean> {
    return (await this.#runtimeConfig()) !== undefined;
  }

  async #runtimeConfig(): Promise<pb.Fields | undefined> {
    try {
      return await this.#call("Runtime", "RuntimeConfig");
    } catch (error) {
      if (error instanceof GrpcError && error.status === GRPC.unimplemented) return undefined;
      throw error;
    }
  }

  /** The sandbox (pause) image that the runtime is configured with, where it tells (containerd's Status). */
  async sandboxImage(): Promise<string | undefined> {
    const status = await this.#call("Runtime", "Status", pb.encode([[1, true]]));
    const config = parseJson(pb.stringMap(status, 2)["config"]);
    const image = config?.["sandboxImage"];
    return typeof image === "string" ? image : undefined;
  }

  /** Every container, newest first. */
  async containers(): Promise<Container[]> {
    const reply = await this.#call("Runtime", "ListContainers");
    return pb
      .messages(reply, 1)
      .map((c) => {
        const labels = pb.stringMap(c, 8);
        return {
          id: pb.text(c, 1),
          name: pb.text(pb.message(c, 3), 1),
          attempt: pb.integer(pb.message(c, 3), 2),
          pod: labels["io.kubernetes.pod.name"] ?? "",
          namespace: labels["io.kubernetes.pod.namespace"] ?? "",
          state: STATES[pb.integer(c, 6)] ?? "unknown",
          createdAt: (c.get(7)?.[0] as bigint | undefined) ?? 0n,
        };
      })
      .sort((a, b) => (a.createdAt > b.createdAt ? -1 : 1));
  }

  /** One container's state, exit code and log file. */
  async containerStatus(id: string): Promise<ContainerStatus> {
    const status = pb.message(await this.#call("Runtime", "ContainerStatus", pb.encode([[1, id]])), 1);
    return {
      state: STATES[pb.integer(status, 3)] ?? "unknown",
      finishedAt: (status.get(6)?.[0] as bigint | undefined) ?? 0n,
      exitCode: pb.integer(status, 7),
      reason: pb.text(status, 10),
      message: pb.text(status, 11),
      logPath: pb.text(status, 15),
    };
  }

  /** Every pod's sandbox, running or not. */
  async sandboxes(): Promise<Sandbox[]> {
    const reply = await this.#call("Runtime", "ListPodSandbox");
    return pb.messages(reply, 1).map((sandbox) => {
      const metadata = pb.message(sandbox, 2);
      return {
        id: pb.text(sandbox, 1),
        pod: pb.text(metadata, 1),
        namespace: pb.text(metadata, 3),
        createdAt: (sandbox.get(4)?.[0] as bigint | undefined) ?? 0n,
      };
    });
  }

  /** Stops a pod's sandbox with all its containers, and removes them. */
  async removeSandbox(id: string): Promise<void> {
    const request = pb.encode([[1, id]]);
    await this.#call("Runtime", "StopPodSandbox", request, SLOW_CALL_MS);
    await this.#call("Runtime", "RemovePodSandbox", request, SLOW_CALL_MS);
  }

  /** Whether an image is there, so that nothing needs pulling. */
  async hasImage(image: string): Promise<boolean> {
    const reply = await this.#call("Image", "ImageStatus", pb.encode([[1, pb.encode([[1, image]])]]));
    return reply.has(1);
  }

  /** Pulls an image. The limit is generous: boards have slow cards. */
  async pullImage(image: string): Promise<void> {
    try {
      await this.#connection.call(
        "/runtime.v1.ImageService/PullImage",
        pb.encode([[1, pb.encode([[1, image]])]]),
        15 * 60_000,
      );
    } catch (error) {
      throw new KubestickError(`cannot pull ${image}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
}

/** The cgroup driver out of containerd's CRI configuration as Status prints it (1.x: containerd.runtimes.<name>.options). */
export function cgroupDriverFromInfo(info: string | undefined): "systemd" | "cgroupfs" | undefined {
  const config = parseJson(info);
  const containerd = config?.["containerd"] as Record<string, unknown> | undefined;
  const runtimes = containerd?.["runtimes"] as Record<string, { options?: Record<string, unknown> | null }> | undefined;
  const name = typeof containerd?.["defaultRuntimeName"] === "string" ? containerd["defaultRuntimeName"] : "runc";
  const runtime = runtimes?.[name];
  if (!runtime) return undefined;
  return runtime.options?.["SystemdCgroup"] === true ? "systemd" : "cgroupfs";
}

function parseJson(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
