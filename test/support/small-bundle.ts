import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { Header } from "tar";
import { compose } from "../../lib/bundle/compose.ts";
import { HOST_BINARY_TGZ, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST } from "../../lib/constants/oci.ts";
import { writeWhole } from "../../lib/host/new-file.ts";
import { layoutTar } from "../../lib/oci/layout-tar.ts";
import { Staging } from "../../lib/oci/staging.ts";

/** A member of a tar to make, of any kind and name. */
export interface Member {
  name: string;
  data?: string | Buffer;
  type?: "File" | "SymbolicLink" | "Link" | "Directory" | "CharacterDevice";
  linkTarget?: string;
}

/** A tar with exactly these members, however bad. */
export function tarOf(members: Member[]): Buffer {
  const parts = members.flatMap(({ name, data = "", type = "File", linkTarget }) => {
    const body = Buffer.from(data);
    const block = Buffer.alloc(512);
    new Header({ path: name, mode: 0o755, size: body.length, mtime: new Date(0), type, linkpath: linkTarget }).encode(
      block,
      0,
    );
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

/** A complete small bundle: one image, containerd as an archive, and runc. Gives its path. */
export function smallBundle(
  target: string,
  options: { arch?: string; archive?: Buffer; layerType?: string; layer?: Buffer } = {},
): string {
  const arch = options.arch ?? "amd64";
  fs.mkdirSync(dirname(target), { recursive: true });
  const staging = new Staging(join(dirname(target), `staging-${Math.random()}`));
  const config = staging.put(
    OCI_CONFIG,
    Buffer.from(JSON.stringify({ architecture: arch, os: "linux", rootfs: { type: "layers", diff_ids: [] } })),
  );
  const layer = staging.put(options.layerType ?? OCI_LAYER, options.layer ?? tarOf([{ name: "hello", data: "world" }]));
  const manifest = staging.put(
    OCI_MANIFEST,
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer] })),
  );
  const programs = ["bin/containerd", "bin/containerd-shim-runc-v2", "bin/ctr"].map((name) => ({
    name,
    data: `#!/bin/sh\necho ${name}\n`,
  }));
  const archive = staging.put(HOST_BINARY_TGZ, options.archive ?? gzipSync(tarOf(programs)));
  const runc = staging.put("", Buffer.from("#!/bin/sh\necho runc\n"));
  const { index, blobs } = compose(
    {
      kubernetesVersion: "v1.36.2",
      images: [{ name: "registry.k8s.io/pause:3.10.2", arch, manifest, config, layers: [layer] }],
      binaries: [
        {
          name: "containerd",
          version: "v2.1.9",
          arch,
          title: `containerd-2.1.9-linux-${arch}.tar.gz`,
          archive: true,
          blob: archive,
        },
        { name: "runc", version: "v1.3.6", arch, title: `runc.${arch}`, archive: false, blob: runc },
      ],
      userYaml: [],
    },
    staging,
  );
  writeWhole(target, 0o644, layoutTar(index, blobs, staging));
  fs.rmSync(staging.path, { recursive: true });
  return target;
}
