import type { Report } from "../kind.ts";
import type { ControlPlaneComponent } from "../kinds/control-plane.ts";
import type { Arg } from "../kinds/fields.ts";
import type { Given } from "../schema.ts";
import { checkAbsolute } from "./values.ts";

/** Checks the names of a component's flags. */
export function checkArgs(args: Given<Arg>[] | undefined, at: string, report: Report): void {
  for (const [i, arg] of (args ?? []).entries()) {
    if (arg.name === undefined) continue;
    if (!/^[A-Za-z0-9][-.\w]*$/.test(arg.name)) {
      report(`${at}[${i}]`, `${JSON.stringify(arg.name)} must be a flag's name without dashes before it, such as "v"`);
    }
  }
}

/** Checks what the user adds to a static pod of the control plane. */
export function checkComponent(component: Given<ControlPlaneComponent> | undefined, at: string, report: Report): void {
  checkArgs(component?.extraArgs, `${at}.extraArgs`, report);
  const names = new Set<string>();
  for (const [i, { name, hostPath, mountPath }] of (component?.extraVolumes ?? []).entries()) {
    const volume = `${at}.extraVolumes[${i}]`;
    checkAbsolute(hostPath, `${volume}.hostPath`, report);
    checkAbsolute(mountPath, `${volume}.mountPath`, report);
    if (name === undefined) continue;
    if (names.has(name)) report(`${volume}.name`, `"${name}" is used twice; volume names are unique`);
    names.add(name);
  }
}
