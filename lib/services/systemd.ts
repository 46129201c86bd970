import { PROGRAM_PATH } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import { run, tryRun } from "../host/process.ts";
import { type ServiceManagerControl, type ServiceSpec, WRITTEN_HERE } from "./service.ts";

const UNIT_DIRS = [
  "/etc/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
  "/usr/local/lib/systemd/system",
];

/** A service's unit file, in the shape of the Kubernetes packages' kubelet.service. */
export function systemdUnit(spec: ServiceSpec): string {
  const flags = spec.flagsFile ? ` $${spec.flagsFile.variable}` : "";
  const after = ["network-online.target", ...(spec.after ?? []).map((name) => `${name}.service`)];
  const env = Object.entries({ PATH: PROGRAM_PATH, ...spec.env }).map(
    ([name, value]) => `Environment=${name}=${value}\n`,
  );
  const more = (spec.systemd ?? []).map((line) => `${line}\n`).join("");
  return `${WRITTEN_HERE}
[Unit]
Description=${spec.description}
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=${after.join(" ")}

[Service]
${env.join("")}${more}${spec.flagsFile ? `EnvironmentFile=-${spec.flagsFile.path}\n` : ""}ExecStart=${[spec.program, ...spec.args].join(" ")}${flags}
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`;
}

/** Services under systemd. A unit that a package brought is used as it is. */
export function systemd(files: Files): ServiceManagerControl {
  const ownUnit = (name: string) => `${UNIT_DIRS[0]}/${name}.service`;
  const installed = (name: string) => files.readText(ownUnit(name))?.startsWith(WRITTEN_HERE) ?? false;
  return {
    name: "systemd",
    install(spec) {
      const own = ownUnit(spec.name);
      const [text, unit] = [files.readText(own), systemdUnit(spec)];
      const foreign = !installed(spec.name) && UNIT_DIRS.some((dir) => files.exists(`${dir}/${spec.name}.service`));
      const changed = !foreign && text !== unit;
      if (changed) {
        files.write(own, unit, { mode: 0o644 });
        run("systemctl", ["daemon-reload"]);
      }
      run("systemctl", ["enable", spec.name]);
      return changed;
    },
    installed,
    async restart(name) {
      run("systemctl", ["daemon-reload"]);
      run("systemctl", ["restart", name], 90_000);
    },
    async stop(name) {
      run("systemctl", ["stop", name], 90_000);
    },
    async remove(name) {
      tryRun("systemctl", ["stop", name], 90_000);
      if (!installed(name)) return;
      tryRun("systemctl", ["disable", name]);
      files.remove(ownUnit(name));
      tryRun("systemctl", ["daemon-reload"]);
    },
    isActive: (name) => tryRun("systemctl", ["is-active", "--quiet", name]).status === 0,
    logCommand: (name) => `journalctl -u ${name} -n 100 --no-pager`,
  };
}
