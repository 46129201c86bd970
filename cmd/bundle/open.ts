import { Bundle } from "../../lib/bundle/bundle.ts";
import { UsageError } from "../../lib/errors.ts";
import { isCompiled } from "../../lib/services/executable.ts";

/** Uses the bundle in a file, or the one attached to this executable, and closes it. Throws KubestickError. */
export function withBundle<T>(file: string | undefined, use: (bundle: Bundle) => T): T {
  const bundle = Bundle.open(file ?? attached());
  let result: T;
  try {
    result = use(bundle);
  } catch (error) {
    bundle.close();
    throw error;
  }
  if (result instanceof Promise) return result.finally(() => bundle.close()) as T;
  bundle.close();
  return result;
}

function attached(): string {
  if (isCompiled()) return process.execPath;
  throw new UsageError("which bundle?", "name its file: kubestick bundle inspect FILE");
}

/** The executable that --executable names, or this one. Throws UsageError where this is none. */
export function executablePath(named: string | undefined): string {
  if (named !== undefined) return named;
  if (isCompiled()) return process.execPath;
  throw new UsageError("which executable?", "name it with --executable; npm run build makes it");
}
