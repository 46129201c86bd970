import * as fs from "node:fs";
import { join } from "node:path";
import { tryRun } from "../../lib/host/process.ts";
import type { TestNode } from "./node.ts";

const PACKAGES = ["openrc", "librc1", "libeinfo1"];
/** What OpenRC makes when it boots (librc's directories of states), and a service that stands for the network. */
const STATES =
  "starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled tmp";
const NETWORK = "#!/sbin/openrc-run\\ndepend() { provide net; }\\nstart() { :; }\\n";

/**
 * Debian's OpenRC unpacked in a directory, not installed: it would take this machine's place of init. Undefined where it
 * cannot be had.
 */
export function unpackOpenrc(dir: string): string | undefined {
  const root = join(dir, "root");
  if (fs.existsSync(join(root, "sbin/openrc-run"))) return root;
  fs.mkdirSync(dir, { recursive: true });
  const script = `cd ${dir} && apt-get -qq download ${PACKAGES.join(" ")} && for deb in *.deb; do dpkg -x $deb root; done`;
  return tryRun("sh", ["-c", script], 60_000).status === 0 ? root : undefined;
}

/** Puts OpenRC into a node as if it had booted there; `root` is what unpackOpenrc gave. */
export function bootOpenrc(node: TestNode, root: string): void {
  const script = `for d in usr lib:usr/lib sbin:usr/sbin bin:usr/bin; do
  [ -d ${root}/\${d%:*} ] && cp -a ${root}/\${d%:*}/. /\${d#*:}/
done
rm -rf /etc/init.d/* /etc/rc*.d /etc/runlevels
cp -a ${root}/etc/. /etc/ && ldconfig
mkdir -p /etc/runlevels/default /run/openrc && cd /run/openrc && mkdir ${STATES} && echo default >softlevel
printf '${NETWORK}' >/etc/init.d/fakenet && chmod 755 /etc/init.d/fakenet
rc-update add fakenet default && rc-service fakenet start`;
  node.exec(["sh", "-c", script], 60_000, true);
}
