import { X509Certificate } from "node:crypto";
import { KubestickError } from "../errors.ts";

/** A block of a PEM text: its label, such as `CERTIFICATE`, and what it encodes. */
export interface PemBlock {
  label: string;
  /** The header lines of RFC 1421, which old encrypted keys have; empty where there are none. */
  headers: string;
  /** Undefined where the lines between the marks are no base64. */
  data: Buffer | undefined;
}

const BEGIN = /^-----BEGIN ([^-\r\n]{1,64})-----[ \t]*$/gm;

/** The blocks of a PEM text (RFC 7468) in their order; whatever stands between them is left out, as Go's encoding/pem does. */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  BEGIN.lastIndex = 0;
  for (let begin = BEGIN.exec(text); begin !== null; begin = BEGIN.exec(text)) {
    const label = begin[1]!;
    const from = begin.index + begin[0].length;
    const end = text.indexOf(`-----END ${label}-----`, from);
    if (end < 0) {
      // Cut off: the block is there, and cannot be read.
      blocks.push({ label, headers: "", data: undefined });
      continue;
    }
    blocks.push({ label, ...decode(text.slice(from, end)) });
    BEGIN.lastIndex = end;
  }
  return blocks;
}

function decode(lines: string): Pick<PemBlock, "headers" | "data"> {
  const headers = /^\s*(?:[\w-]+:[^\n]*\n(?:[ \t][^\n]*\n)*)+/.exec(lines)?.[0] ?? "";
  const base64 = lines.slice(headers.length).replace(/\s+/g, "");
  const valid = base64.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(base64);
  return { headers, data: valid ? Buffer.from(base64, "base64") : undefined };
}

/**
 * The certificates of a PEM file, at least one (client-go's util/cert ParseCertsPEM); blocks of other kinds are passed
 * over. Throws KubestickError that names `source` when there is none, or one of them cannot be read: what stands behind
 * the first counts, because Kubernetes trusts every certificate of a CA file.
 */
export function readCertificates(data: Buffer | string, source: string, hint?: string): X509Certificate[] {
  const fail = (why: string, help = hint): never => {
    throw new KubestickError(`${source} ${why}`, { hint: help });
  };
  const blocks = pemBlocks(data.toString());
  const found = blocks.filter(({ label }) => label === "CERTIFICATE");
  if (found.length === 0) {
    if (parseCertificate(Buffer.from(data as Buffer)))
      fail("is a certificate in DER, and Kubernetes reads PEM only", conversion(source, "openssl x509 -inform DER"));
    const others = [...new Set(blocks.map(({ label }) => label))].slice(0, 3).join(", ");
    fail(`is not a certificate in PEM${others ? `: it holds ${others}` : ""}`);
  }
  return found.map(({ data: der }, i) => {
    const which = found.length > 1 ? `certificate ${i + 1} of ${found.length} in it` : "its certificate";
    const certificate = der && parseCertificate(der);
    return certificate ?? fail(`is not a certificate in PEM: ${which} cannot be read`);
  });
}

/** The advice to convert a file by an openssl command; none for what is no file. */
export function conversion(source: string, command: string): string | undefined {
  return source.startsWith("/")
    ? `convert it: ${command} -in ${source} -out ${source}.pem, then mv ${source}.pem ${source}`
    : undefined;
}

/** A certificate in DER, and nothing behind it; undefined when it is none. */
function parseCertificate(der: Buffer): X509Certificate | undefined {
  // The parser takes PEM too, and passes over what stands behind.
  if (der[0] !== 0x30) return undefined;
  try {
    const certificate = new X509Certificate(der);
    return certificate.raw.length === der.length ? certificate : undefined;
  } catch {
    return undefined;
  }
}
