import { join } from "node:path";
import type { Files } from "../host/files.ts";
import { Ledger } from "../host/ledger.ts";
import type { HostBinarySource } from "./host-binary.ts";
import type { Decision } from "./plan.ts";
import { unpackBinary } from "./unpack.ts";

/**
 * Installs one host binary as decided, and notes it. A program of somebody else that it replaces is kept, and `reset` puts
 * it back. Gives the paths written. Throws KubestickError.
 */
export async function installBinary(
  source: Pick<HostBinarySource, "store">,
  decision: Decision,
  files: Files,
): Promise<string[]> {
  const { kind, binary, directory, leave } = decision;
  const onHost = (path: string) => (files.root === "/" ? path : path.slice(files.root.length));
  const ledger = new Ledger(files);
  const own = ledger.binaries[kind.name]?.files ?? [];
  const note = (paths: string[], digest: string) =>
    ledger.noteBinary(kind.name, { version: binary.version, digest, files: paths.map(onHost) });
  const written = await unpackBinary(
    source.store,
    binary,
    kind,
    (program) => (leave.has(program) ? undefined : files.real(join(directory, program))),
    // Of a run that is killed now, the next one knows them as kubestick's, and installs them again.
    (paths) => {
      for (const path of paths.map(onHost)) if (!own.includes(path)) ledger.keep(path);
      note(paths, "");
    },
  );
  if (written.length > 0) note(written, binary.blob.digest);
  return written.map(onHost);
}
