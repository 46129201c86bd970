import { PUBLIC_KEY_FILE, SUMS_FILE } from "../lib/release/sums.ts";
import { verifyRelease } from "../lib/release/verify.ts";
import { COMMON_ARGS } from "./args/common.ts";
import { command } from "./command.ts";

export default command({
  name: "verify",
  description: "Check the signature and digests of kubestick's own executables",
  args: {
    directory: {
      type: "positional",
      required: false,
      description: "Where the release's files are (default: here).",
      completes: "directory",
    },
    key: {
      type: "string",
      description: `The public key (default ${PUBLIC_KEY_FILE} beside ${SUMS_FILE}).`,
      valueHint: "file",
      completes: "file",
    },
    fingerprint: {
      type: "string",
      description: "What the key's fingerprint must be, as told by somebody you trust (sha256:<hex>).",
      valueHint: "digest",
    },
    ...COMMON_ARGS,
  },
  examples: [
    ["A release on a stick", "kubestick verify /media/stick"],
    ["With the fingerprint that its owner told you", "kubestick verify build --fingerprint sha256:HEX"],
  ],
  run: ({ args, out }) =>
    out.report(verifyRelease(args.directory ?? ".", { key: args.key, fingerprint: args.fingerprint }, out.ui)),
});
