import { arch } from "node:os";
import { join } from "node:path";

/** The root of the checkout. */
export const ROOT = join(import.meta.dir, "../..");

/** Where `npm run build` leaves this machine's executable. */
export const EXECUTABLE = join(ROOT, "build", `kubestick-linux-${{ x64: "amd64" }[arch() as string] ?? arch()}`);
