import { LOG_DIR, PROGRAM_PATH } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import { run, tryRun } from "../host/process.ts";
import { type ServiceManagerControl, type ServiceSpec, WRITTEN_HERE } from "./service.ts";

/** A service's OpenRC script, kept running by supervise-daemon(8). */
export function openrcScript(spec: ServiceSpec): string {
  const flags = spec.flagsFile
    ? `
start_pre() {
	checkpath -d -m 0755 ${LOG_DIR}
	[ -r ${spec.flagsFile.path} ] && . ${spec.flagsFile.path}
	command_args="$command_args $${spec.flagsFile.variable}"
}
`
    : "";
  const env = Object.entries({ PATH: PROGRAM_PATH, ...spec.env }).map(([name, value]) => `export ${name}="${value}"`);
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
${flags}`;
}

/** Services under OpenRC. A script that a package brought is used as it is. */
export function openrc(files: Files): ServiceManagerControl {
  return {
    name: "OpenRC",
    install(spec) {
      const path = `/etc/init.d/${spec.name}`;
      const missing = !files.exists(path);
      if (missing) files.write(path, openrcScript(spec), { mode: 0o755 });
      run("rc-update", ["add", spec.name, "default"]);
      return missing;
    },
    async restart(name) {
      run("rc-service", [name, "restart"], 90_000);
    },
    async stop(name) {
      run("rc-service", [name, "stop"], 90_000);
    },
    async remove(name) {
      tryRun("rc-service", [name, "stop"], 90_000);
      const own = `/etc/init.d/${name}`;
      if (!files.readText(own)?.includes(WRITTEN_HERE)) return;
      tryRun("rc-update", ["del", name]);
      files.remove(own);
    },
    isActive: (name) => tryRun("rc-service", [name, "status"]).status === 0,
    logCommand: (name) => `tail -n 100 ${LOG_DIR}/${name}.log`,
  };
}
