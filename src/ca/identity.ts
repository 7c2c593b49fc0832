// Who asks: from the headers that the edge sets, believed only as far as they prove themselves. The
// certificate in them must be ours, in force, not revoked, and of the name that the edge says.

import { messageOf } from "../base/fault.ts";
import { extensionText, parseCertificates, type Certificate } from "../x509/certificate.ts";
import { OID } from "../x509/oids.ts";
import { isCertname } from "./certname.ts";
import { isIssuedBy, type Issuer } from "./issuer.ts";
import { serialOf, type Serial } from "./serial.ts";

export interface Caller {
  certname: string;
  /** Whether the certificate lets its holder administer the CA: pp_cli_auth. */
  admin: boolean;
  certificate: Certificate;
}

export type Identified =
  | { who: "nobody" }
  | { who: "caller"; caller: Caller }
  /** The headers are none that an edge writes. */
  | { who: "garbled"; because: string };

/** Longest X-Client-Cert in characters. */
const HEADER_CHARACTERS_MAX = 32 * 1024;

/** Reads X-Client-Verify, X-Client-DN and X-Client-Cert. Anything short of proof is `nobody`. */
export function identify(
  headers: Headers,
  known: { issuer: Issuer; isRevoked: (serial: Serial) => boolean; nowMs: number },
): Identified {
  const encoded = headers.get("x-client-cert");
  if (headers.get("x-client-verify") !== "SUCCESS" || encoded === null || encoded === "") {
    return { who: "nobody" };
  }
  const read = readHeader(encoded);
  if (typeof read === "string") return { who: "garbled", because: read };
  const certname = certnameOf(headers.get("x-client-dn") ?? "");
  const { issuer, isRevoked, nowMs } = known;
  const proven =
    certname !== undefined &&
    read.subjectRdnCount === 1 &&
    read.commonName === certname &&
    read.notBefore <= nowMs &&
    nowMs <= read.notAfter &&
    isIssuedBy(read, issuer) &&
    !isRevoked(serialOf(read.serial));
  if (!proven) return { who: "nobody" };
  return { who: "caller", caller: { certname, admin: isAdmin(read), certificate: read } };
}

function readHeader(encoded: string): Certificate | string {
  if (encoded.length > HEADER_CHARACTERS_MAX) return "x-client-cert is too long";
  let pem: string;
  try {
    pem = decodeURIComponent(encoded);
  } catch (error) {
    return `Unable to URL decode the x-client-cert header: ${messageOf(error)}`;
  }
  try {
    const [certificate, ...more] = parseCertificates(pem);
    if (certificate === undefined) return "No certs found in PEM read from x-client-cert";
    if (more.length === 0) return certificate;
    return `Only 1 PEM should be supplied for x-client-cert but ${more.length + 1} found`;
  } catch (error) {
    return `Unable to parse x-client-cert into certificate: ${messageOf(error)}`;
  }
}

/**
 * The name in a subject of one common name, as RFC 2253 writes it; HAProxy may quote the header.
 */
function certnameOf(dn: string): string | undefined {
  const [, certname] = /^"?CN=([^"]*)"?$/.exec(dn) ?? [];
  return certname !== undefined && isCertname(certname) ? certname : undefined;
}

function isAdmin({ extensions }: Certificate): boolean {
  const extension = extensions.find(({ oid }) => oid === OID.ppCliAuth);
  return extension !== undefined && extensionText(extension) === "true";
}
