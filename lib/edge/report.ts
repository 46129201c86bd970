import type { KubeObject } from "../api/resources.ts";
import { DRY_RUN_OBJECTS_DIR } from "../constants/paths.ts";
import type { Files } from "../host/files.ts";
import type { Ui } from "../ui/ui.ts";
import { sortedYaml } from "../yaml/write.ts";

/**
 * Shows what a dry run would have done. On another root the files are already there, and the API objects join them;
 * else both are printed, with secrets left out.
 */
export function reportDryRun(ctx: { files: Files; ui: Ui }, objects: KubeObject[]): void {
  if (ctx.files.root !== "/") {
    objects.forEach((object, i) => {
      const name = `${String(i + 1).padStart(2, "0")}-${object.kind.toLowerCase()}-${object.metadata.name.replace(/[^a-z0-9.-]/gi, "-")}.yaml`;
      ctx.files.write(`${DRY_RUN_OBJECTS_DIR}/${name}`, sortedYaml(object), { mode: 0o600, secret: isSecret(object) });
    });
    ctx.ui.step(
      "dry-run",
      `${ctx.files.written.length} files are below ${ctx.files.root}, the ${objects.length} API objects of them in ${DRY_RUN_OBJECTS_DIR}`,
    );
    return;
  }
  const last = new Map(ctx.files.written.map((file) => [file.path, file]));
  for (const file of last.values()) {
    ctx.ui.print(
      `[dry-run] Would write ${file.path} (mode ${file.mode.toString(8).padStart(4, "0")}, ${file.data.length} bytes)`,
    );
    ctx.ui.print(file.secret ? "    (secret, not shown)" : indent(file.data.toString("utf8")));
  }
  for (const object of objects) {
    ctx.ui.print(
      `[dry-run] Would apply ${object.kind} ${object.metadata.namespace ? `${object.metadata.namespace}/` : ""}${object.metadata.name}`,
    );
    ctx.ui.print(isSecret(object) ? "    (secret, not shown)" : indent(sortedYaml(object)));
  }
}

function isSecret(object: KubeObject): boolean {
  return object.kind === "Secret";
}

function indent(text: string): string {
  return text.trimEnd().replace(/^/gm, "    ");
}
