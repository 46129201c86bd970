/** What is known of a package from the npm lock file. */
interface LockedPackage {
  version?: string;
  license?: string;
  integrity?: string;
  dev?: boolean;
}

/** The parts of package-lock.json (version 3) that are read. */
export interface PackageLock {
  name: string;
  version: string;
  packages: Record<string, LockedPackage>;
}

/** What else goes into an executable, or says when it was made. */
export interface SbomOptions {
  /** The time of the sources, ISO 8601; the same sources give the same document. */
  created: string;
  license: string;
  /** Packages that are compiled in although npm counts them as development's: the runtime. */
  runtime: string[];
}

/**
 * The executables' bill of materials (SPDX 2.3, JSON): kubestick itself, the packages that are compiled into it, and the
 * runtime, out of the npm lock file.
 */
export function spdx(lock: PackageLock, options: SbomOptions): object {
  const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
  const used = Object.entries(lock.packages).filter(
    ([path, p]) => path !== "" && (!p.dev || options.runtime.includes(nameOf(path))),
  );
  const own = "SPDXRef-kubestick";
  const packages = used
    .map(([path, { version = "", license, integrity }]) => {
      const name = nameOf(path);
      return {
        SPDXID: `SPDXRef-${name.replace(/[^A-Za-z0-9.]/g, "-").replace(/^-/, "")}-${version}`,
        name,
        versionInfo: version,
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        licenseConcluded: "NOASSERTION",
        licenseDeclared: license ?? "NOASSERTION",
        copyrightText: "NOASSERTION",
        ...(integrity ? { checksums: [checksum(integrity)] } : {}),
        externalRefs: [
          {
            referenceCategory: "PACKAGE-MANAGER",
            referenceType: "purl",
            referenceLocator: `pkg:npm/${name.replace(/^@/, "%40")}@${version}`,
          },
        ],
      };
    })
    .sort((a, b) => (a.SPDXID < b.SPDXID ? -1 : 1));
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name: `${lock.name}-${lock.version}`,
    documentNamespace: `https://kubestick.dev/spdx/${lock.name}-${lock.version}-${options.created}`,
    creationInfo: { created: options.created, creators: ["Tool: kubestick-build.ts"] },
    packages: [
      {
        SPDXID: own,
        name: lock.name,
        versionInfo: lock.version,
        downloadLocation: "NOASSERTION",
        filesAnalyzed: false,
        licenseConcluded: options.license,
        licenseDeclared: options.license,
        copyrightText: "NOASSERTION",
        primaryPackagePurpose: "APPLICATION",
      },
      ...packages,
    ],
    relationships: [
      { spdxElementId: "SPDXRef-DOCUMENT", relationshipType: "DESCRIBES", relatedSpdxElement: own },
      ...packages.map((p) => ({ spdxElementId: own, relationshipType: "CONTAINS", relatedSpdxElement: p.SPDXID })),
    ],
  };
}

/** npm's integrity (RFC: Subresource Integrity, base64) as an SPDX checksum (hexadecimal). */
function checksum(integrity: string): { algorithm: string; checksumValue: string } {
  const [algorithm = "", value = ""] = integrity.split(" ")[0]!.split(/-(.*)/s);
  return { algorithm: algorithm.toUpperCase(), checksumValue: Buffer.from(value, "base64").toString("hex") };
}
