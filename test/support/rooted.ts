import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { readYaml } from "../../lib/yaml/read.ts";
import { kubestick } from "./kubestick.ts";

/** An InitConfiguration with more lines of its nodeRegistration (indented) and its own, and of its localAPIEndpoint. */
export const initText = (body = "", endpoint = ""): string =>
  `apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: 10.0.0.5\n${endpoint}nodeRegistration:\n  name: node1\n${body}`;

/** A ClusterConfiguration as a further document, with more lines. */
export const clusterText = (body = ""): string =>
  `---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nkubernetesVersion: v1.36.2\n${body}`;

/** What tests look at in a static pod. */
export interface WrittenPod {
  metadata: { labels: Record<string, string> };
  spec: {
    containers: {
      name: string;
      command: string[];
      env?: { name: string; value: string }[];
      volumeMounts: { name: string }[];
      livenessProbe: { httpGet: { host?: string } };
      startupProbe: { failureThreshold: number; httpGet: { host?: string } };
    }[];
  };
}

/** A directory with a configuration, and a root below which init writes. */
export class Rooted {
  readonly dir = fs.mkdtempSync(join(tmpdir(), "kubestick-rooted-"));
  readonly root = join(this.dir, "root");

  /** Writes a file beside the root; gives its path. */
  write(name: string, content: string): string {
    const path = join(this.dir, name);
    fs.mkdirSync(dirname(path), { recursive: true });
    fs.writeFileSync(path, content);
    return path;
  }

  /** Runs one phase of init with a configuration. */
  phase(config: string, ...words: string[]) {
    return kubestick("init", "phase", ...words, "--config", this.write("config.yaml", config), "--rootfs", this.root);
  }

  /** Runs the whole of init with a configuration, dry. */
  dryRun(config: string, ...flags: string[]) {
    const file = this.write("config.yaml", config);
    const command = ["init", "--dry-run", "--config", file, "--rootfs", this.root, "--ignore-preflight-errors", "all"];
    return kubestick(...command, ...flags);
  }

  /** The text of a file below the root. */
  text(path: string): string {
    return fs.readFileSync(join(this.root, path), "utf8");
  }

  /** A static pod that was written. */
  pod(name: string): WrittenPod {
    return readYaml(this.text(`etc/kubernetes/manifests/${name}.yaml`)) as WrittenPod;
  }

  /** The container of a static pod. */
  container(name: string): WrittenPod["spec"]["containers"][0] {
    return this.pod(name).spec.containers[0]!;
  }

  /** The data of a ConfigMap that a dry run would have applied. */
  configMap(name: string): Record<string, string> {
    const dir = "var/lib/kubestick/dry-run";
    const file = fs.readdirSync(join(this.root, dir)).find((n) => n.endsWith(`-configmap-${name}.yaml`));
    return (readYaml(this.text(`${dir}/${file}`)) as { data: Record<string, string> }).data;
  }

  /** Takes what was written away. */
  clear(...below: string[]): void {
    fs.rmSync(join(this.root, ...below), { recursive: true, force: true });
  }

  remove(): void {
    fs.rmSync(this.dir, { recursive: true });
  }
}
