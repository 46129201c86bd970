import { generateToken } from "../../lib/index.ts";
import { COMMON_ARGS } from "../args/common.ts";
import { command } from "../command.ts";

export default command({
  name: "generate",
  description: "Generate and print a bootstrap token, but do not create it on the server",
  kubeadm: true,
  args: COMMON_ARGS,
  examples: [
    ["A new token", "kubestick token generate"],
    ["As JSON, for a program", "kubestick token generate --output json"],
  ],
  run: async ({ out }) => {
    const token = await generateToken();
    out.print(token);
    out.report({ token });
  },
});
