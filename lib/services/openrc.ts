import { LOG_DIR, PROGRAM_PATH } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import { run, tryRun } from "../host/process.ts";
import { type ServiceManagerControl, type ServiceSpec, WRITTEN_HERE } from "./service.ts";

/** A service's OpenRC script, kept running by supervise-daemon(8). */
export function openrcScript(spec: ServiceSpec): string {
  const flags = spec.flagsFile
    ? `
	[ -r ${spec.flagsFile.path} ] && . ${spec.flagsFile.path}
	command_args="$command_args $${spec.flagsFile.variable}"`
    : "";
  // OpenRC's own helpers are in the PATH that it gives to scripts.
  const variables = { PATH: `$PATH:${PROGRAM_PATH}`, ...spec.env };
  const env = Object.entries(variables).map(([name, value]) => `export ${name}="${value}"`);
  return `#!/sbin/openrc-run
${WRITTEN_HERE}
description="${spec.description}"
supervisor=supervise-daemon
${env.join("\n")}
command="${spec.program}"
command_args="${spec.args.join(" ")}"
respawn_delay=5
respawn_max=0
output_log="${LOG_DIR}/${spec.name}.log"
error_log="${LOG_DIR}/${spec.name}.log"

depend() {
	need net${(spec.after ?? []).map((name) => `\n\tuse ${name}`).join("")}
}

start_pre() {
	checkpath -d -m 0755 ${LOG_DIR}${flags}
}
`;
}

/** Services under OpenRC. A script that a package brought is used as it is. */
export function openrc(files: Files): ServiceManagerControl {
  const script = (name: string) => `/etc/init.d/${name}`;
  const installed = (name: string) => files.readText(script(name))?.includes(WRITTEN_HERE) ?? false;
  return {
    name: "OpenRC",
    install(spec) {
      const [text, wanted] = [files.readText(script(spec.name)), openrcScript(spec)];
      const changed = text === undefined || (installed(spec.name) && text !== wanted);
      if (changed) files.write(script(spec.name), wanted, { mode: 0o755 });
      run("rc-update", ["add", spec.name, "default"]);
      return changed;
    },
    installed,
    async restart(name) {
      run("rc-service", [name, "restart"], 90_000);
    },
    async stop(name) {
      run("rc-service", [name, "stop"], 90_000);
    },
    async remove(name) {
      tryRun("rc-service", [name, "stop"], 90_000);
      if (!installed(name)) return;
      tryRun("rc-update", ["del", name]);
      files.remove(script(name));
    },
    isActive: (name) => tryRun("rc-service", [name, "status"]).status === 0,
    logCommand: (name) => `tail -n 100 ${LOG_DIR}/${name}.log`,
  };
}
