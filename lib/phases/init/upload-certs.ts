import type { KubeObject } from "../../api/resources.ts";
import { certificateSecret, newCertificateKey, sharedCertificates } from "../../cluster/certificates.ts";
import { newToken, splitToken, tokenSecret } from "../../cluster/tokens.ts";
import { UPLOADED_CERTS_TTL } from "../../constants/durations.ts";
import { NAMESPACE_SYSTEM, SECRET_CERTS, SECRET_TOKEN_PREFIX } from "../../constants/names.ts";
import { CERTIFICATES_DIR } from "../../constants/paths.ts";
import { KubestickError } from "../../errors.ts";
import { formatDuration } from "../../util/duration.ts";
import type { Phase } from "../runner.ts";
import type { Init } from "./context.ts";

/** init's phase `upload-certs`: what another control plane needs, encrypted, for two hours. */
export const uploadCertsPhase: Phase<Init> = {
  name: "upload-certs",
  short: "Upload certificates to kubeadm-certs",
  live: true,
  flags: ["certificate-key", "skip-certificate-key-print", "upload-certs"],
  inputs: [CERTIFICATES_DIR],
  outputs: [
    `Secret ${NAMESPACE_SYSTEM}/${SECRET_TOKEN_PREFIX}ID`,
    `Secret ${NAMESPACE_SYSTEM}/${SECRET_CERTS}`,
    `Role ${NAMESPACE_SYSTEM}/kubeadm:${SECRET_CERTS}`,
    `RoleBinding ${NAMESPACE_SYSTEM}/kubeadm:${SECRET_CERTS}`,
  ],
  run: async (init, step) => {
    const { node, cp, access, asked } = init;
    init.certificateKey ??= newCertificateKey();
    const key = init.certificateKey;
    const files: Record<string, Buffer> = {};
    for (const [name, path] of Object.entries(sharedCertificates(cp.config))) {
      const data = node.files.read(path);
      if (!data)
        throw new KubestickError(`${path} is not there, so another control plane cannot get it`, {
          hint: "with an external CA, copy the certificates by hand and leave --upload-certs out",
        });
      files[name] = data;
    }
    const cluster = await access.cluster();
    // The uploaded Secret belongs to this token and is collected with it when it expires.
    const token = {
      token: newToken(),
      ttl: formatDuration(UPLOADED_CERTS_TTL),
      usages: [],
      groups: [],
      description: "Proxy for managing TTL for the kubeadm-certs secret",
    };
    const owner = await cluster.apply(tokenSecret(token, node.facts.now) as KubeObject);
    const uid = String(owner.metadata["uid"] ?? "");
    const name = `${SECRET_TOKEN_PREFIX}${splitToken(token.token).id}`;
    await access.apply(certificateSecret(files, key, { name, uid }));
    step(`Storing the certificates in Secret "${SECRET_CERTS}" in the "${NAMESPACE_SYSTEM}" Namespace`);
    if (!asked.skipCertificateKeyPrint) step(`Using certificate key:\n${key}`);
  },
};
