// Which names a certificate may be for: Puppet's rules and their exact texts, and our own limits.
// A name becomes a file name, a record key and a line of text, so nothing odd may pass here.

import { printable } from "../base/printable.ts";

/** Longest certname in characters: with `.pem` it still is a file name. */
export const CERTNAME_LENGTH_MAX = 251;

/** What a name in a URL must match to mean anything. */
export const URL_NAME = /^[A-Za-z0-9._-]{1,255}$/;

const RESERVED = new Set(["ca"]);
const FORMAT_INVALID = "Subject hostname format is invalid";

/**
 * Why no certificate may be issued for `cn`, the request's subject, submitted as `key`; undefined
 * when one may. The texts are Puppet Server's.
 */
export function refuseCertname(cn: string, key: string): string | undefined {
  if (cn !== key) {
    return `Instance name "${printable(cn)}" does not match requested key "${printable(key)}"`;
  }
  if (/[A-Z]/.test(cn)) return "Certificate names must be lower case.";
  if (cn.includes("*")) {
    return `Subject contains a wildcard, which is not allowed: ${printable(cn)}`;
  }
  if (!isCertname(cn)) return FORMAT_INVALID;
  if (RESERVED.has(cn)) return `"${cn}" is the name of the certificate authority itself`;
  return undefined;
}

/**
 * Whether `name` has the form of a certname: what every key, file name and answer of ours relies
 * on.
 */
export function isCertname(name: string): boolean {
  if (name.length === 0 || name.length > CERTNAME_LENGTH_MAX) return false;
  // The two ends of a name are stricter than its middle, and one dot at the end is allowed.
  const segments = name.replace(/\.$/, "").split(".");
  return (
    segments.every((segment) => /^[a-z0-9_-]*[a-z0-9_]$/.test(segment)) && /^[a-z0-9_]/.test(name)
  );
}
