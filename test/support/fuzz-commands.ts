import { BUNDLE_FLAGS } from "../../cmd/bundle-flags.ts";
import { type Flag, GLOBAL_FLAGS } from "../../cmd/flags.ts";
import { INIT_FLAGS } from "../../cmd/init-flags.ts";
import { JOIN_FLAGS } from "../../cmd/join.ts";
import { LAB_FLAGS } from "../../cmd/lab.ts";
import { RESET_FLAGS } from "../../cmd/reset.ts";
import { TOKEN_CREATE_FLAGS, TOKEN_FLAGS } from "../../cmd/token.ts";
import { VERIFY_FLAGS } from "../../cmd/verify.ts";
import { INIT_PHASES } from "../../lib/phases/init/init.ts";
import { JOIN_PHASES } from "../../lib/phases/join/join.ts";
import { flatten } from "../../lib/phases/runner.ts";

/** The commands, with the flags that each takes. */
export const COMMANDS: { words: string[]; flags: Flag[] }[] = [
  { words: [], flags: GLOBAL_FLAGS },
  { words: ["version"], flags: GLOBAL_FLAGS },
  { words: ["help"], flags: GLOBAL_FLAGS },
  { words: ["init"], flags: INIT_FLAGS },
  { words: ["init"], flags: INIT_FLAGS },
  ...flatten(INIT_PHASES).map(({ path }) => ({ words: ["init", "phase", ...path.split("/")], flags: INIT_FLAGS })),
  { words: ["join"], flags: JOIN_FLAGS },
  { words: ["join"], flags: JOIN_FLAGS },
  ...flatten(JOIN_PHASES).map(({ path }) => ({ words: ["join", "phase", ...path.split("/")], flags: JOIN_FLAGS })),
  { words: ["reset"], flags: RESET_FLAGS },
  { words: ["token"], flags: TOKEN_FLAGS },
  ...["list", "delete"].map((word) => ({ words: ["token", word], flags: TOKEN_FLAGS })),
  { words: ["token", "create"], flags: TOKEN_CREATE_FLAGS },
  { words: ["token", "generate"], flags: GLOBAL_FLAGS },
  ...["inspect", "list", "verify"].map((word) => ({ words: ["bundle", word], flags: BUNDLE_FLAGS.read })),
  ...["attach", "detach"].map((word) => ({ words: ["bundle", word], flags: BUNDLE_FLAGS.attach })),
  ...(["create", "lock", "extract", "load", "serve"] as const).map((word) => ({
    words: ["bundle", word],
    flags: BUNDLE_FLAGS[word],
  })),
  { words: ["lab", "up"], flags: LAB_FLAGS.up },
  ...["status", "shell", "down"].map((word) => ({ words: ["lab", word], flags: LAB_FLAGS.common })),
  { words: ["verify"], flags: VERIFY_FLAGS },
];
