// Which requests may be signed: Puppet Server's rules with their exact texts, its holes closed.
// Pure: what is known of the cluster comes in as arguments. Two stages, as in Puppet Server:
// readRequest decides what may wait at all, refuseRequest what may be signed.

import { isIPv6 } from "node:net";
import { messageOf } from "../base/fault.ts";
import { printable } from "../base/printable.ts";
import { subjectAltNames } from "../x509/certificate.ts";
import { readDer } from "../x509/der.ts";
import type { AltName, Extension } from "../x509/extensions.ts";
import { ipBytes, ipText } from "../x509/ip.ts";
import { isUnder, OID } from "../x509/oids.ts";
import {
  parseRequest,
  requestPem,
  verifyRequest,
  type CertificateRequest,
} from "../x509/request.ts";
import { describeUnknown } from "../x509/signed.ts";
import { textOf, utf8Of } from "../x509/text.ts";
import { derUtf8 } from "../x509/der.ts";
import { refuseCertname } from "./certname.ts";
import type { Subject } from "./profile.ts";
import type { CaSettings } from "./settings.ts";

/** A request in good order: parsed, its signature verified. */
export interface ReadRequest {
  certname: string;
  pem: string;
  request: CertificateRequest;
  altNames: AltName[];
}

export type Read = { ok: true; read: ReadRequest } | { ok: false; because: string };

const SIGNATURE_WRONG = "CSR contains a public key that does not correspond to the signing key";
const KEYS_KNOWN =
  "Keys may be RSA of 1024 bits and more, or EC on P-256, P-384 or P-521, with SHA-1 or SHA-2.";
/** Longest text of a Puppet extension in characters. */
const EXTENSION_TEXT_MAX = 8192;

/** The request in `text`, as a client sent it. */
export function readRequest(text: string): Read {
  try {
    const request = parseRequest(text);
    const san = request.requestedExtensions.find(({ oid }) => oid === OID.subjectAltName);
    const altNames = san === undefined ? [] : subjectAltNames(san);
    if (!verifyRequest(request)) return { ok: false, because: whyUnverified(request) };
    const certname = request.commonName ?? "";
    return { ok: true, read: { certname, pem: requestPem(request.der), request, altNames } };
  } catch (error) {
    return {
      ok: false,
      because: `The certificate request can't be read: ${printable(messageOf(error))}`,
    };
  }
}

function whyUnverified(request: CertificateRequest): string {
  const unknown = describeUnknown(request, request.spkiDer);
  if (unknown === undefined) return SIGNATURE_WRONG;
  return `The certificate request can't be verified: ${printable(unknown)}. ${KEYS_KNOWN}`;
}

/** Why `read`, submitted as `key`, may not even wait; undefined when it may. */
export function refuseSubmission(read: ReadRequest, key: string): string | undefined {
  return refuseCertname(read.certname, key);
}

/** What of the cluster decides about a request. */
export interface NameContext {
  /** Names and addresses that only members may have: their certnames, the shared name. */
  protectedNames: ReadonlySet<string>;
  /** Whether somebody has a certificate for this name. */
  isCertname: (name: string) => boolean;
}

/** Why the request may not be signed; undefined when it may. */
export function refuseRequest(
  read: ReadRequest,
  settings: CaSettings,
  context: NameContext,
): string | undefined {
  return (
    refuseCertname(read.certname, read.certname) ??
    refuseAltNames(read, settings) ??
    refuseExtensions(read, settings) ??
    refuseTakenNames(read, context)
  );
}

/** What a certificate for a request that refuseRequest lets pass is made of. */
export function subjectOf({ certname, request, altNames }: ReadRequest): Subject {
  const asked = request.requestedExtensions;
  return {
    certname,
    spkiDer: request.spkiDer,
    altNames,
    altNamesCritical: asked.some(({ oid, critical }) => oid === OID.subjectAltName && critical),
    extensions: asked
      .filter(({ oid }) => oid !== OID.subjectAltName)
      .map((extension) => ({ ...extension, value: derUtf8(puppetText(extension) ?? "") })),
  };
}

/**
 * Seconds that the certificate for a request lasts: an agent that says that it renews its own gets
 * the renewal's, whatever was `asked` for; else that, or the setting's.
 */
export function ttlOf(
  { request }: ReadRequest,
  settings: CaSettings,
  asked: number = settings.caTtlSeconds,
): number {
  return settings.allowAutoRenewal && willRenew(request) ? settings.autoRenewalTtlSeconds : asked;
}

/** Agents say so by an attribute, not an extension: pp_auth_auto_renew, "true". */
function willRenew({ attributes }: CertificateRequest): boolean {
  const [value] = attributes.find(({ oid }) => oid === OID.ppAuthAutoRenew)?.values ?? [];
  if (value === undefined) return false;
  try {
    return textOf(readDer(value, "attribute")) === "true";
  } catch {
    return false;
  }
}

function refuseAltNames(read: ReadRequest, settings: CaSettings): string | undefined {
  const { certname, altNames } = read;
  if (altNames.length === 0) return undefined;
  const [only] = altNames;
  const own = altNames.length === 1 && only?.type === "DNS" && only.value === certname;
  if (own) return undefined;
  if (!settings.allowSubjectAltNames) {
    return (
      `CSR '${certname}' contains extra subject alternative names (${listAltNames(altNames)}), ` +
      `which are disallowed. ${howToAllow("subject alternative names", "subject-alt-names")}`
    );
  }
  return altNames.every(isOrdinaryAltName) ? undefined : notPermitted([OID.subjectAltName]);
}

function refuseExtensions(read: ReadRequest, settings: CaSettings): string | undefined {
  const asked = read.request.requestedExtensions.filter(({ oid }) => oid !== OID.subjectAltName);
  const authorizing = asked.some(({ oid }) => isUnder(oid, OID.ppAuthCertExt));
  if (authorizing && !settings.allowAuthorizationExtensions) {
    return (
      `CSR '${read.certname}' contains an authorization extension, which is disallowed. ` +
      howToAllow("authorization extensions", "authorization-extensions")
    );
  }
  const odd = asked.filter((extension) => !isPermitted(extension)).map(({ oid }) => oid);
  return odd.length === 0 ? undefined : notPermitted(odd);
}

function refuseTakenNames(read: ReadRequest, context: NameContext): string | undefined {
  const { certname, altNames } = read;
  const own = bare(certname);
  // Once each: a request may ask for thousands of names.
  const guarded = new Map([...context.protectedNames].map((name) => [bare(name), name]));
  if (guarded.has(own)) {
    return `${certname} is a name of the servers themselves: no agent's request for it is signed`;
  }
  const other = spellings(own).find((name) => name !== certname && context.isCertname(name));
  if (other !== undefined) {
    return `${certname} stands for ${other}, another's certname: clients take the two for one`;
  }
  for (const { type, value } of altNames) {
    const name = bare(value);
    if (name === own) continue;
    const taken = [...guarded.keys()].find((each) => covers(type, name, each));
    if (taken !== undefined) {
      const what = `The alternative name ${value} stands for ${guarded.get(taken)}`;
      return `${what}, a name of the servers themselves: no agent gets a certificate for it`;
    }
    if (type === "DNS" && spellings(name).some((each) => context.isCertname(each))) {
      return `The alternative name ${value} is another's certname: no second one may stand for it`;
    }
  }
  return undefined;
}

/**
 * A name as agents compare it: Ruby's TLS, like puppetserver's rules, passes over capitals and over
 * dots at the end. An address of IPv6 has several texts.
 */
function bare(name: string): string {
  const plain = name.toLowerCase().replace(/\.+$/, "");
  return isIPv6(plain) && !plain.includes("%") ? (ipText(ipBytes(plain)) ?? plain) : plain;
}

/** The certnames that are one name to an agent. */
function spellings(bareName: string): string[] {
  return [bareName, `${bareName}.`];
}

/** Whether a client that wants `name` would take a certificate for `altName`; both are bare. */
function covers(type: AltName["type"], altName: string, name: string): boolean {
  if (type === "IP" || !altName.startsWith("*.")) return altName === name;
  return name.slice(name.indexOf(".")) === altName.slice(1);
}

function isOrdinaryAltName({ type, value }: AltName): boolean {
  if (type === "IP") return true;
  return type === "DNS" && /^(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})$/.test(value);
}

function isPermitted(extension: Extension): boolean {
  const { oid } = extension;
  const known = [OID.ppRegCertExt, OID.ppPrivCertExt, OID.ppAuthCertExt];
  if (oid === OID.ppCliAuth || !known.some((arc) => isUnder(oid, arc))) return false;
  return puppetText(extension) !== undefined;
}

/** The text of an extension: a string in DER, or bare bytes as old agents send them. */
function puppetText({ value }: Extension): string | undefined {
  let text: string | undefined;
  try {
    text = textOf(readDer(value, "extension"));
  } catch {
    text = utf8Of(value);
  }
  return text !== undefined && text.length <= EXTENSION_TEXT_MAX ? text : undefined;
}

/** As Puppet lists them: addresses first. Kinds that it doesn't know are named too. */
function listAltNames(altNames: readonly AltName[]): string {
  const rank = ({ type }: AltName) => (type === "IP" ? 0 : type === "DNS" ? 1 : 2);
  const sorted = altNames.toSorted((a, b) => rank(a) - rank(b));
  return printable(sorted.map(({ type, value }) => `${type}:${value}`).join(", "));
}

function howToAllow(what: string, setting: string): string {
  return (
    `To allow ${what}, set allow-${setting} to true in your ca.conf file. ` +
    "Then restart the puppetserver and try signing this certificate again."
  );
}

function notPermitted(oids: readonly string[]): string {
  return `Found extensions that are not permitted: ${oids.join(", ")}`;
}
