// What a certificate of ours looks like, bit for bit as Puppet Server's (puppet-ca/v1): extensions
// in the order in which its builder writes them, non-critical ones first.

import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  netscapeComment,
  puppetExtension,
  subjectAltName,
  subjectKeyIdentifier,
  type AltName,
  type Extension,
} from "../x509/extensions.ts";
import { OID } from "../x509/oids.ts";
import type { Issuer } from "./issuer.ts";

/** A certificate is valid from so many milliseconds before its signing, for clocks that lag. */
export const BACKDATE_MS = 24 * 3600 * 1000;

/** What a certificate is made for. */
export interface Subject {
  certname: string;
  spkiDer: Uint8Array;
  /** As asked for; the certname is added when it isn't among them. */
  altNames: readonly AltName[];
  altNamesCritical: boolean;
  /**
   * Puppet's own extensions, already checked and in their final encoding; of a renewal all that the
   * former certificate has.
   */
  extensions: readonly Extension[];
}

/** The extensions of an agent's certificate. */
export function agentExtensions(issuer: Issuer, subject: Subject): Extension[] {
  const all = [
    subjectAltName(allNames(subject), subject.altNamesCritical),
    netscapeComment(),
    authorityOf(issuer),
    subjectKeyIdentifier(subject.spkiDer),
    ...subject.extensions,
    basicConstraints({ ca: false }),
    extendedKeyUsage([OID.serverAuth, OID.clientAuth]),
    keyUsage(["digitalSignature", "keyEncipherment"]),
  ];
  return [...all.filter(({ critical }) => !critical), ...all.filter(({ critical }) => critical)];
}

/** The extensions of a server's own certificate: an agent's, and the right to administer the CA. */
export function serverExtensions(issuer: Issuer, subject: Subject): Extension[] {
  const own = subject.extensions.filter(({ oid }) => oid !== OID.ppCliAuth);
  const extensions = [...own, puppetExtension("pp_cli_auth", "true")];
  return agentExtensions(issuer, { ...subject, extensions });
}

/** The extensions of a certificate that takes the place of one with `subject.extensions`. */
export function renewedExtensions(issuer: Issuer, subject: Subject): Extension[] {
  const fresh = [authorityOf(issuer), subjectKeyIdentifier(subject.spkiDer)];
  const isFresh = (oid: string) => fresh.find((extension) => extension.oid === oid);
  const kept = subject.extensions.map((extension) => isFresh(extension.oid) ?? extension);
  return [...kept, ...fresh.filter((extension) => !kept.includes(extension))];
}

function authorityOf({ keyId, certificate }: Issuer): Extension {
  const { issuerDer, serial } = certificate;
  return authorityKeyIdentifier({ keyId, issuerDer, serial });
}

/** IP addresses first, then names, the certname among them. */
function allNames({ certname, altNames }: Subject): AltName[] {
  const addresses = altNames.filter(({ type }) => type === "IP");
  const names = altNames.filter(({ type }) => type === "DNS");
  const has = names.some(({ value }) => value === certname);
  return [...addresses, ...names, ...(has ? [] : [{ type: "DNS" as const, value: certname }])];
}
