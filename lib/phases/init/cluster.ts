import { resolve } from "node:path";
import { corednsConfigMap, corednsDeployment, corednsRbac, corednsService } from "../../addons/coredns.ts";
import { kubeProxyObjects } from "../../addons/kube-proxy.ts";
import { ApiError } from "../../api/errors.ts";
import { mapOf, mapsOf } from "../../api/fields.ts";
import { serviceAccount } from "../../api/rbac.ts";
import type { KubeObject } from "../../api/resources.ts";
import { clusterInfoRbac, discoveryKubeconfig } from "../../bootstrap/cluster-info.ts";
import { apiServerKubeletClient, nodeBootstrapRbac } from "../../bootstrap/rbac.ts";
import { newToken, splitToken, tokenSecret } from "../../bootstrap/token.ts";
import { signClusterInfo } from "../../bootstrap/tokens.ts";
import { certificateSecret, newCertificateKey, sharedCertificates } from "../../bootstrap/upload-certs.ts";
import { kubeadmConfigObjects, kubeletConfigObjects } from "../../bootstrap/uploaded-config.ts";
import type { Taint } from "../../config/kinds/fields.ts";
import { API_CALL_TIMEOUT, UPLOADED_CERTS_TTL } from "../../constants/durations.ts";
import { LABEL_CONTROL_PLANE, LABEL_EXCLUDE_LB, NAMESPACE_SYSTEM, SECRET_TOKEN_PREFIX } from "../../constants/names.ts";
import { FLAT, NONE, PROVIDER } from "../../constants/network.ts";
import { KubestickError } from "../../errors.ts";
import { Files } from "../../host/files.ts";
import { CONTROL_PLANE_TAINT } from "../../kubelet/flags.ts";
import { upstreams } from "../../kubelet/resolv-conf.ts";
import { applyPatches } from "../../manifests/patches.ts";
import { certificatePem } from "../../pki/certificate.ts";
import { formatDuration, parseDuration } from "../../util/duration.ts";
import { until } from "../../util/until.ts";
import { applyProvider, networkObjects, providerObjects, startNodeAgent } from "../network.ts";
import type { Phase } from "../runner.ts";
import type { InitContext } from "./context.ts";
import { expectSameCluster } from "./identity.ts";

type InitPhase = Phase<InitContext>;

/** init's phase `upload-config`: the ConfigMaps that joins and upgrades read. */
export const uploadConfigPhase: InitPhase = {
  name: "upload-config",
  short: "Upload the kubeadm and kubelet configuration to a ConfigMap",
  live: true,
  children: [
    {
      name: "kubeadm",
      short: "Upload the kubeadm ClusterConfiguration to a ConfigMap",
      live: true,
      run: async (ctx) => {
        await expectSameCluster(ctx);
        ctx.ui.step(
          "upload-config",
          `Storing the configuration used in ConfigMap "kubeadm-config" in the "${NAMESPACE_SYSTEM}" Namespace`,
        );
        await ctx.apply(kubeadmConfigObjects(ctx.config.cluster));
      },
    },
    {
      name: "kubelet",
      short: "Upload the kubelet component config to a ConfigMap",
      live: true,
      run: async (ctx) => {
        ctx.ui.step(
          "upload-config",
          `Creating a ConfigMap "kubelet-config" in namespace ${NAMESPACE_SYSTEM} with the configuration for the kubelets in the cluster`,
        );
        await ctx.apply(kubeletConfigObjects((await ctx.kubelet()).shared));
      },
    },
  ],
};

/** init's phase `upload-certs`: what another control plane needs, encrypted, for two hours. */
export const uploadCertsPhase: InitPhase = {
  name: "upload-certs",
  short: "Upload certificates to kubeadm-certs",
  live: true,
  flags: ["certificate-key", "skip-certificate-key-print", "upload-certs"],
  skipIf: (ctx) => (ctx.options.uploadCerts ? undefined : "see --upload-certs"),
  run: async (ctx) => {
    const key = ctx.certificateKey ?? newCertificateKey();
    ctx.certificateKey = key;
    const files: Record<string, Buffer> = {};
    for (const [name, path] of Object.entries(sharedCertificates(ctx.config))) {
      const data = ctx.files.read(path);
      if (!data)
        throw new KubestickError(`${path} is not there, so another control plane cannot get it`, {
          hint: "with an external CA, copy the certificates by hand and leave --upload-certs out",
        });
      files[name] = data;
    }
    const cluster = await ctx.cluster();
    // The uploaded Secret belongs to this token and is collected with it when it expires.
    const token = {
      token: newToken(),
      ttl: formatDuration(UPLOADED_CERTS_TTL),
      usages: [],
      groups: [],
      description: "Proxy for managing TTL for the kubeadm-certs secret",
    };
    const owner = await cluster.apply(tokenSecret(token, ctx.facts.now) as KubeObject);
    const uid = String(owner.metadata["uid"] ?? "");
    await ctx.apply(
      certificateSecret(files, key, { name: `${SECRET_TOKEN_PREFIX}${splitToken(token.token).id}`, uid }),
    );
    ctx.ui.step("upload-certs", 'Storing the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace');
    if (!ctx.options.skipCertificateKeyPrint) ctx.ui.step("upload-certs", `Using certificate key:\n${key}`);
  },
};

/** init's phase `mark-control-plane`: labels and taints of this node. */
export const markControlPlanePhase: InitPhase = {
  name: "mark-control-plane",
  short: "Mark a node as a control-plane",
  live: true,
  flags: ["node-name"],
  run: async (ctx) => {
    const { name } = ctx.config.nodeRegistration;
    const taints = ctx.config.nodeRegistration.taints ?? [CONTROL_PLANE_TAINT];
    const labels = { [LABEL_CONTROL_PLANE]: "", [LABEL_EXCLUDE_LB]: "" };
    ctx.ui.step(
      "mark-control-plane",
      `Marking the node ${name} as control-plane by adding the labels: [${Object.keys(labels).join(" ")}]`,
    );
    if (taints.length > 0) {
      ctx.ui.step(
        "mark-control-plane",
        `Marking the node ${name} as control-plane by adding the taints [${taints.map((t) => `${t.key}:${t.effect}`).join(" ")}]`,
      );
    }
    const cluster = await ctx.cluster();
    const timeout = ctx.config.timeouts?.kubernetesAPICall;
    const node = { apiVersion: "v1", kind: "Node", metadata: { name } };
    const mark = async () => {
      const current = ctx.options.dryRun ? (node as unknown as KubeObject) : await cluster.get("v1", "Node", name);
      if (!current) return false;
      const kept = (mapsOf(mapOf(current["spec"])?.["taints"]) as unknown as Taint[]).filter(
        (t) => !taints.some((ours) => ours.key === t.key && ours.effect === t.effect),
      );
      // The resource version makes the API server refuse if the node's taints changed in between.
      const { resourceVersion } = current.metadata as { resourceVersion?: string };
      await cluster.mergePatch(node, {
        metadata: { labels, ...(resourceVersion ? { resourceVersion } : {}) },
        spec: { taints: [...kept, ...taints] },
      });
      return true;
    };
    await until(mark, {
      limitMs: timeout ? parseDuration(timeout) : API_CALL_TIMEOUT,
      pauseMs: 100,
      passes: (error) => error instanceof ApiError && error.status === 409,
      what: `the kubelet has not registered the node ${name} with the API server`,
      hint: `look at its log: ${ctx.services.logCommand("kubelet")}`,
    });
  },
};

/** init's phase `bootstrap-token`: tokens, what they may do, and the signed cluster-info. */
export const bootstrapTokenPhase: InitPhase = {
  name: "bootstrap-token",
  short: "Generates bootstrap tokens used to join a node to a cluster",
  live: true,
  flags: ["token", "token-ttl", "skip-token-print"],
  run: async (ctx) => {
    const cluster = await ctx.cluster();
    if (!ctx.options.skipTokenPrint)
      ctx.ui.detail(`bootstrap token ids: ${ctx.config.bootstrapTokens.map((t) => splitToken(t.token).id).join(", ")}`);
    ctx.ui.step("bootstrap-token", "Configuring bootstrap tokens, cluster-info ConfigMap, RBAC Roles");
    const now = new Date();
    for (const token of ctx.config.bootstrapTokens) await cluster.apply(tokenSecret(token, now) as KubeObject);
    await ctx.apply([...nodeBootstrapRbac(), apiServerKubeletClient()]);
    const ca = ctx.pki.certificate("ca");
    if (!ca)
      throw new KubestickError(`${ctx.pki.path("ca.crt")} is not there`, {
        hint: "run first: kubestick init phase certs ca",
      });
    ctx.ui.step("bootstrap-token", 'Creating the "cluster-info" ConfigMap in the "kube-public" namespace');
    if (!ctx.options.dryRun)
      await cluster.createIfAbsent({ apiVersion: "v1", kind: "Namespace", metadata: { name: "kube-public" } });
    await signClusterInfo(cluster, discoveryKubeconfig(ctx.clusterServer, certificatePem(ca)), now);
    await ctx.apply([serviceAccount("bootstrap-signer"), ...clusterInfoRbac()]);
  },
};

const ADDON_FLAGS = ["image-repository", "kubernetes-version", "feature-gates"];

/** init's phase `addon`: CoreDNS, kube-proxy, and the network of the pods. */
export const addonPhase: InitPhase = {
  name: "addon",
  short: "Install required addons for passing conformance tests",
  live: true,
  children: [
    {
      name: "coredns",
      short: "Install the CoreDNS addon to a Kubernetes cluster",
      live: true,
      flags: [...ADDON_FLAGS, "service-cidr", "service-dns-domain"],
      skipIf: (ctx) => (ctx.config.cluster.dns.disabled ? "dns.disabled is set" : undefined),
      run: async (ctx) => {
        const kubelet = (await ctx.kubelet()).local;
        const { path, nameservers, lost } = upstreams(ctx.facts.resolvConfs, ctx.files, kubelet);
        const forward = nameservers.length > 0;
        if (!forward)
          ctx.ui.step("addon", `CoreDNS forwards to nobody (because ${path} has no nameserver that pods could reach)`);
        else if (lost.length > 0)
          ctx.ui.warn(
            `CoreDNS cannot reach ${lost.join(", ")} of ${path}, which the kubelet is told to give to pods, and ends where it meets itself`,
          );
        const cluster = await ctx.cluster();
        await cluster.createIfAbsent(corednsConfigMap(ctx.config, forward) as KubeObject);
        await ctx.apply([
          ...corednsRbac(),
          applyPatches(corednsDeployment(ctx.config), "corednsdeployment", ctx.patches),
          corednsService(ctx.config),
        ]);
        ctx.ui.step("addon", "Applied essential addon: CoreDNS");
      },
    },
    {
      name: "kube-proxy",
      short: "Install the kube-proxy addon to a Kubernetes cluster",
      live: true,
      flags: [
        ...ADDON_FLAGS,
        "apiserver-advertise-address",
        "apiserver-bind-port",
        "control-plane-endpoint",
        "pod-network-cidr",
      ],
      skipIf: (ctx) => (ctx.config.cluster.proxy.disabled ? "proxy.disabled is set" : undefined),
      run: async (ctx) => {
        const { patches } = ctx;
        await ctx.apply(
          kubeProxyObjects(ctx.config, ctx.clusterServer, ctx.kubeProxy(), { patches, environment: process.env }),
        );
        ctx.ui.step("addon", "Applied essential addon: kube-proxy");
      },
    },
    {
      name: "network",
      short: "Install the network of the pods (see --network), and start the node agent",
      live: true,
      flags: ["network", "pod-network-cidr"],
      run: async (ctx) => {
        const { network } = ctx.options;
        const kind = network === FLAT || network === NONE ? network : PROVIDER;
        // Without a network of kubestick's choice the cluster is kubeadm's to the last object.
        if (kind !== NONE) await ctx.apply(networkObjects(kind));
        await startNodeAgent(ctx, kind);
        if (kind !== PROVIDER) return;
        // The user's file lies on this machine, not below --rootfs.
        const objects = providerObjects(network, new Files("/").readText(resolve(network)), ctx.bundle);
        await applyProvider((some) => ctx.apply(some), objects);
        ctx.ui.step("network", `Applied the network provider of ${network}`);
      },
    },
  ],
};
