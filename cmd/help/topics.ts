import airGap from "./air-gap.md" with { type: "text" };
import bundles from "./bundles.md" with { type: "text" };
import configuration from "./configuration.md" with { type: "text" };
import differences from "./differences-from-kubeadm.md" with { type: "text" };
import highAvailability from "./high-availability.md" with { type: "text" };
import joinSecurity from "./join-security.md" with { type: "text" };
import lab from "./lab.md" with { type: "text" };
import networks from "./networks.md" with { type: "text" };
import output from "./output.md" with { type: "text" };
import raspberryPi from "./raspberry-pi.md" with { type: "text" };
import reset from "./reset.md" with { type: "text" };
import troubleshooting from "./troubleshooting.md" with { type: "text" };
import usbStick from "./usb-stick.md" with { type: "text" };

/** A page that the executable carries, shown by `kubestick help NAME`. */
export interface Topic {
  name: string;
  /** Its first heading. */
  title: string;
  /** Markdown. */
  text: string;
}

const PAGES: Record<string, string> = {
  "air-gap": airGap,
  "usb-stick": usbStick,
  "raspberry-pi": raspberryPi,
  bundles,
  configuration,
  networks,
  "high-availability": highAvailability,
  "join-security": joinSecurity,
  lab,
  reset,
  troubleshooting,
  "differences-from-kubeadm": differences,
  output,
};

/** Every topic, in the order in which `kubestick help` lists them. */
export const TOPICS: readonly Topic[] = Object.entries(PAGES).map(([name, text]) => ({
  name,
  title: /^# (.+)$/m.exec(text)?.[1] ?? name,
  text,
}));

/** The topic that words mean: its name, or words that only its name begins with (`usb`, `air gap`, `kubeadm`). */
export function findTopic(words: readonly string[]): Topic | undefined {
  const parts = words.flatMap((word) => word.toLowerCase().split("-")).filter(Boolean);
  if (parts.length === 0) return undefined;
  const exact = TOPICS.find(({ name }) => name === parts.join("-"));
  const begun = TOPICS.filter(({ name }) =>
    parts.every((part) => name.split("-").some((word) => word.startsWith(part))),
  );
  return exact ?? (begun.length === 1 ? begun[0] : undefined);
}
