// One name's certificates as people read them: everything the record knows, newest first.

import { isoTime } from "../host/clock.ts";
import { certificatePem, parseCertificate, publicKeyOf } from "../x509/certificate.ts";
import { isCertname } from "./certname.ts";
import type { Mirror } from "./mirror.ts";
import type { Serial } from "./serial.ts";
import type { CertRow } from "./tables.ts";
import { certificateContent, requestStatus, type CertStatus } from "./view.ts";

export interface ShownCertificate {
  serial: Serial;
  certname: string;
  /** `replaced`: still in force, but the name has a newer one. */
  state: "signed" | "replaced" | "revoked" | "expired";
  notBefore: string;
  notAfter: string;
  /** The member that signed it, or `import`. */
  signedBy: string;
  signedAt: string;
  /** When it was revoked, and the first CRL that has it. */
  revokedAt?: string;
  crlNumber?: number;
  issuer?: string;
  /** As in "RSA 4096" or "EC prime256v1". */
  key?: string;
  altNames: string[];
  authorizationExtensions: Record<string, string>;
  fingerprint: string;
  /** Undefined: only a line of the inventory is known. */
  pem?: string;
}

export interface Shown {
  certificates: ShownCertificate[];
  request?: CertStatus;
}

/** What there is of a certname, or of one serial (hexadecimal). */
export function showCertificates(mirror: Mirror, what: string, nowMs: number): Shown {
  const { certs, names } = mirror.tables;
  const named = isCertname(what) ? mirror.serialsOf(what) : [];
  const serial = serialFrom(what);
  const serials = named.length > 0 || serial === undefined ? named : [serial];
  const current = names.get(what)?.serial;
  const rows = serials.flatMap((each) => certs.get(each) ?? []).toReversed();
  // Not by serial: each server gives them from blocks of its own.
  rows.sort((a, b) => rank(b, current) - rank(a, current));
  const request = requestStatus(mirror, what);
  return {
    certificates: rows.map((row) => show(mirror, row, nowMs)),
    ...(request === undefined ? {} : { request }),
  };
}

/** A serial as people write it: hexadecimal, with or without 0x, colons and leading zeros. */
export function serialFrom(text: string): Serial | undefined {
  const digits = text.replace(/^0x/i, "").replaceAll(":", "");
  if (!/^[0-9a-f]{1,64}$/i.test(digits)) return undefined;
  return digits.toUpperCase().replace(/^0+/, "").padStart(8, "0");
}

/** The current certificate is the newest, whatever the clocks said that dated the others. */
function rank({ serial, notBeforeMs }: CertRow, current: Serial | undefined): number {
  return serial === current ? Infinity : notBeforeMs;
}

function show(mirror: Mirror, row: CertRow, nowMs: number): ShownCertificate {
  const { names, revoked } = mirror.tables;
  const revocation = revoked.get(row.serial);
  const current = names.get(row.certname)?.serial === row.serial;
  const content = certificateContent(row);
  const inForce = row.notAfterMs < nowMs ? "expired" : current ? "signed" : "replaced";
  return {
    serial: row.serial,
    certname: row.certname,
    state: revocation === undefined ? inForce : "revoked",
    notBefore: isoTime(row.notBeforeMs),
    notAfter: isoTime(row.notAfterMs),
    signedBy: row.signedBy,
    signedAt: row.at,
    ...(revocation && { revokedAt: revocation.at, crlNumber: revocation.number }),
    altNames: content.subject_alt_names,
    authorizationExtensions: content.authorization_extensions,
    fingerprint: content.fingerprint,
    ...(row.der === undefined ? {} : describeDer(row.der)),
  };
}

function describeDer(der: Buffer): { pem: string; issuer?: string; key?: string } {
  const pem = certificatePem(der);
  try {
    const { issuerText, spkiDer } = parseCertificate(der);
    return { pem, issuer: issuerText, key: describeKey(spkiDer) };
  } catch {
    // What can be read of it stands.
    return { pem };
  }
}

function describeKey(spkiDer: Buffer): string {
  const { asymmetricKeyType: type = "unknown", asymmetricKeyDetails: details } =
    publicKeyOf(spkiDer);
  const size = details?.modulusLength ?? details?.namedCurve ?? "";
  return `${type.toUpperCase()} ${size}`.trim();
}
