import * as fs from "node:fs";
import { join } from "node:path";
import { findProgram } from "../../lib/host/facts.ts";
import { run } from "../../lib/host/process.ts";
import { binary, componentVersions, hasBinary } from "../support/binaries.ts";
import { buildImages, type ImageSpec } from "../support/images.ts";

const E2E_IMAGES = "registry.k8s.io/e2e-test-images";

/** An image of Kubernetes' tests: what it is made of here, and the tests that cannot run without it. */
interface TestImage {
  /** Names with tags, as Kubernetes v1.36's test/utils/image/manifest.go has them. */
  names: string[];
  /** Components in the end-to-end directory, and Debian's packages with the program that shows them to be there. */
  components?: string[];
  packages?: Record<string, string>;
  make: (work: string) => Omit<ImageSpec, "name">;
  /** What is in the names of the conformance tests that need it; none where hardly any can do without. */
  tests?: string[];
}

const program = (name: string) => findProgram(name) ?? `/usr/sbin/${name}`;

/** Busybox with a link for each of its commands, but those given otherwise. */
function busybox(files: Record<string, string> = {}): { files: Record<string, string>; links: Record<string, string> } {
  const links: Record<string, string> = {};
  for (const path of run(program("busybox"), ["--list-full"]).trim().split("\n"))
    if (path !== "bin/busybox" && !(`/${path}` in files)) links[`/${path}`] = "/bin/busybox";
  // Debian's has it in another directory than the tests call it by.
  return {
    files: { "/bin/busybox": program("busybox"), ...files },
    links: { ...links, "/bin/sysctl": "/bin/busybox" },
  };
}

const USERS = {
  "/etc/passwd": `root:x:0:0:root:/root:/bin/sh
www-data:x:33:33::/var/www:/bin/sh
user-defined-in-image:x:1000:1000::/home:/bin/sh
nobody:x:65534:65534::/:/bin/false
`,
  "/etc/group": `root:x:0:
www-data:x:33:
user-defined-in-image:x:1000:
group-defined-in-image:x:50000:user-defined-in-image
`,
};

const LIBRARIES = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"].find((path) => fs.existsSync(path)) ?? "/lib";
/** getent, and the libraries by which glibc resolves names: opened at run time, so no program names them. */
const RESOLVER = Object.fromEntries(
  [
    program("getent"),
    ...["libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"].map((name) => join(LIBRARIES, name)),
  ]
    .filter((path) => fs.existsSync(path))
    .map((path) => [path, path]),
);
const RESOLVE_BY = { "/etc/nsswitch.conf": "hosts: files dns\n" };

/** agnhost with what its Dockerfile installs: the tests run these programs in it. */
function agnhost(work: string): Omit<ImageSpec, "name"> {
  const [key, certificate] = ["localhost.key", "localhost.crt"].map((name) => join(work, name));
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30"];
  run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", ...subject, "-keyout", key!, "-out", certificate!]);
  const { files, links } = busybox({
    "/bin/sh": program("bash"),
    "/bin/bash": program("bash"),
    "/bin/nc": program("nc.openbsd"),
    "/usr/bin/nc": program("nc.openbsd"),
    "/usr/bin/curl": program("curl"),
    "/usr/bin/dig": program("dig"),
    "/usr/bin/ss": program("ss"),
    "/usr/bin/ipcs": program("ipcs"),
    ...RESOLVER,
    "/agnhost": binary("agnhost"),
    "/coredns": binary("coredns"),
    "/localhost.key": key!,
    "/localhost.crt": certificate!,
  });
  return {
    files,
    links: { ...links, "/agnhost-2": "agnhost" },
    texts: { ...USERS, ...RESOLVE_BY, "/uploads/.kept": "" },
    entrypoint: ["/agnhost"],
    cmd: ["pause"],
  };
}

/** What the update demo's images are: agnhost with one file to serve. */
const demo = (name: string): TestImage => ({
  names: [`${E2E_IMAGES}/${name}:1.8`],
  components: ["agnhost"],
  make: () => ({
    files: { "/agnhost": binary("agnhost") },
    texts: { "/data.json": `{"image": "${name}.jpg"}` },
    entrypoint: ["/agnhost"],
    cmd: ["test-webserver"],
  }),
  tests: ["Update Demo"],
});

const NGINX = `daemon off;
user www-data;
events {}
http { access_log off; server { listen 80; location / { return 200 "Welcome to nginx!\\n"; } } }
`;

const IMAGES: TestImage[] = [
  {
    names: ["2.63.0", "2.55"].map((tag) => `${E2E_IMAGES}/agnhost:${tag}`),
    components: ["agnhost", "coredns"],
    packages: { busybox: "busybox-static", dig: "bind9-dnsutils", "nc.openbsd": "netcat-openbsd" },
    make: agnhost,
  },
  {
    names: [`${E2E_IMAGES}/busybox:1.37.0-1`],
    packages: { busybox: "busybox-static" },
    make: () => ({ ...busybox({ "/bin/sh": program("bash") }), texts: USERS, cmd: ["sh"] }),
  },
  {
    names: ["registry.k8s.io/pause:3.10.2"],
    components: ["pause"],
    make: () => ({ files: { "/pause": binary("pause") }, entrypoint: ["/pause"] }),
  },
  {
    names: ["1.15-4", "1.27-0"].map((tag) => `${E2E_IMAGES}/nginx:${tag}`),
    packages: { nginx: "nginx-light", busybox: "busybox-static" },
    make: () => {
      const { files, links } = busybox({ "/usr/sbin/nginx": program("nginx") });
      const texts = {
        ...USERS,
        "/etc/nginx/nginx.conf": NGINX,
        "/var/lib/nginx/.kept": "",
        "/var/log/nginx/.kept": "",
      };
      return { files, links, texts, cmd: ["nginx"] };
    },
    tests: ["ServerSideApply", "Garbage collector", "Generated clientset", "PodTemplates", "EndpointSlice"],
  },
  demo("nautilus"),
  demo("kitten"),
  {
    names: [`${E2E_IMAGES}/nonroot:1.5`],
    packages: { busybox: "busybox-static" },
    make: () => ({ ...busybox(), texts: USERS, user: "1234" }),
    tests: ["runAsNonRoot"],
  },
  {
    names: [`${E2E_IMAGES}/nonewprivs:1.4`],
    components: ["nnp"],
    make: () => ({
      files: { "/usr/local/bin/nnp": binary("nnp") },
      setuid: ["/usr/local/bin/nnp"],
      cmd: ["/usr/local/bin/nnp"],
    }),
    tests: ["privilege escalation"],
  },
  {
    names: [`${E2E_IMAGES}/glibc-dns-testing:2.0.0`],
    packages: { busybox: "busybox-static", dig: "bind9-dnsutils" },
    make: () => {
      const { files, links } = busybox({
        "/bin/sh": program("bash"),
        "/usr/bin/dig": program("dig"),
        ...RESOLVER,
      });
      return { files, links, texts: { ...USERS, ...RESOLVE_BY } };
    },
    tests: ["DNS should", "hostnameOverride"],
  },
  {
    names: [`${E2E_IMAGES}/sample-apiserver:1.29.2`],
    components: ["sample-apiserver"],
    make: () => ({
      files: { "/kube-sample-apiserver": binary("sample-apiserver") },
      entrypoint: ["/kube-sample-apiserver"],
    }),
    tests: ["Sample API Server"],
  },
  {
    names: ["registry.k8s.io/etcd:3.6.8-0"],
    components: ["etcd"],
    make: () => ({ files: { "/usr/local/bin/etcd": binary("etcd") }, cmd: ["/usr/local/bin/etcd"] }),
    tests: ["Sample API Server"],
  },
];

/** The packages that the images need and this machine lacks. */
export function missingPackages(): string[] {
  const needed = Object.entries(Object.assign({}, ...IMAGES.map(({ packages }) => packages ?? {})));
  return needed.filter(([name]) => !findProgram(name)).map(([, name]) => name as string);
}

/** An image that cannot be made here, and what is in the names of the tests that therefore cannot run. */
export interface LeftOut {
  image: string;
  lacks: string;
  tests: string[];
}

/** Writes all test images that can be made here into one tar, and says which cannot and for want of what. Throws when one is among them that hardly any test can do without. */
export function testImages(work: string): { tar: string; leftOut: LeftOut[] } {
  fs.mkdirSync(work, { recursive: true });
  const leftOut: LeftOut[] = [];
  const specs: ImageSpec[] = [];
  for (const { names, components = [], packages = {}, make, tests } of IMAGES) {
    const lacks = [
      ...components.filter((name) => !hasBinary(name)),
      ...Object.keys(packages).filter((name) => !findProgram(name)),
    ];
    if (lacks.length > 0 && !tests) throw new Error(`${names[0]} cannot be made without ${lacks.join(", ")}`);
    if (lacks.length > 0) leftOut.push({ image: names.join(", "), lacks: lacks.join(", "), tests: tests ?? [] });
    else for (const name of names) specs.push({ name, ...make(work) });
  }
  const tar = join(work, `test-images-${componentVersions().kubernetes}.tar`);
  buildImages(specs, tar, join(work, "build-test-images"));
  return { tar, leftOut };
}
