import { UsageError } from "../lib/errors.ts";
import { COMMON_ARGS } from "./args/common.ts";
import { command } from "./command.ts";
import bash from "./completion/kubestick.bash" with { type: "text" };
import fish from "./completion/kubestick.fish" with { type: "text" };
import zsh from "./completion/kubestick.zsh" with { type: "text" };

const SCRIPTS: Record<string, string> = { bash, zsh, fish };
const SHELLS = Object.keys(SCRIPTS);

export default command({
  name: "completion",
  description: "Print a script that has a shell complete kubestick's commands, flags, phases and tokens",
  kubeadm: true,
  args: {
    shell: {
      type: "positional",
      required: true,
      ask: `which shell? ${SHELLS.join(", ")}`,
      description: `The shell: ${SHELLS.join(", ")}.`,
      completes: SHELLS,
    },
    ...COMMON_ARGS,
  },
  examples: [
    ["For this bash", "source <(kubestick completion bash)"],
    ["For every zsh", "kubestick completion zsh >/usr/local/share/zsh/site-functions/_kubestick"],
    ["For every fish", "kubestick completion fish >~/.config/fish/completions/kubestick.fish"],
  ],
  run: ({ args, out }) => {
    const script = Object.hasOwn(SCRIPTS, args.shell) ? SCRIPTS[args.shell] : undefined;
    if (script === undefined)
      throw new UsageError(
        `kubestick knows no shell ${JSON.stringify(args.shell)}`,
        `it has a script for ${SHELLS.join(", ")}`,
      );
    out.print(script.trimEnd());
    out.report({ shell: args.shell, script });
  },
});
