import { SERVICES_DIR } from "../constants/paths.ts";
import { KubestickError } from "../errors.ts";
import { Files } from "../host/files.ts";
import { readPlainText } from "../host/plain-file.ts";
import { specFile } from "./places.ts";
import type { ServiceSpec } from "./service.ts";

const NAME = /^[a-z][a-z0-9-]*$/;

/** The names of the services that are defined on a host; see specFile. */
export function definedServices(files = new Files()): string[] {
  const names = files.list(SERVICES_DIR).filter((name) => name.endsWith(".json"));
  return names.map((name) => name.slice(0, -".json".length)).filter((name) => NAME.test(name));
}

/** A service's definition. Throws KubestickError where there is none, or it is damaged. */
export function readDefinition(name: string): ServiceSpec {
  try {
    return checked(JSON.parse(readPlainText(specFile(name))), name);
  } catch {
    throw new KubestickError(`the service ${name} is not known on this host, or ${specFile(name)} is damaged`, {
      hint: "kubestick init writes it",
    });
  }
}

/** Throws where something that a supervisor needs of a definition is not there, or is of another kind. */
function checked(value: unknown, wanted: string): ServiceSpec {
  const { name, program, args, env = {}, flagsFile, after = [] } = value as ServiceSpec;
  const more = flagsFile ? [flagsFile.path, flagsFile.variable] : [];
  const texts = [name, program, ...args, ...Object.values(env), ...after, ...more];
  if (name !== wanted || texts.some((text) => typeof text !== "string" || text.includes("\0")))
    throw new TypeError("not a definition");
  return value as ServiceSpec;
}

/** Services in the order in which they start: each after those that it names, else as they come. */
export function startOrder<T extends Pick<ServiceSpec, "name" | "after">>(specs: T[]): T[] {
  const order = new Set<T>();
  const place = (spec: T, above: T[]) => {
    // Those that wait for each other start as they come.
    if (above.includes(spec)) return;
    for (const other of specs) if (spec.after?.includes(other.name)) place(other, [...above, spec]);
    order.add(spec);
  };
  for (const spec of specs) place(spec, []);
  return [...order];
}
