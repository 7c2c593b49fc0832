// This server's own Puppet certificate, as setup finds it.

import type { NodeFile } from "../cluster/schema.ts";
import { readIfThere } from "../host/files.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { isIssuedBy, readIssuer } from "../ca/issuer.ts";
import { caLayout } from "../ca/layout.ts";
import { type Certificate, parseCertificate, subjectAltNames } from "../x509/certificate.ts";
import { matches, readPrivateKey } from "../x509/keys.ts";
import type { HostCertificate } from "./facts.ts";

/** What there is. Throws Fault `x509.malformed` for a file that is no certificate, `x509.key`. */
export async function observeHostCertificate(
  layout: PuppetLayout,
): Promise<HostCertificate | undefined> {
  const [text, key, bundle] = await Promise.all([
    readIfThere(layout.hostcert),
    readIfThere(layout.hostprivkey),
    readIfThere(caLayout(layout.cadir).bundle),
  ]);
  if (text === undefined) return undefined;
  const certificate = parseCertificate(text);
  return {
    path: layout.hostcert,
    altNames: subjectAltNames(certificate).map(({ value }) => value),
    keyFits: key !== undefined && matches(readPrivateKey(key), certificate.spkiDer),
    ours: bundle === undefined ? undefined : isOf(certificate, bundle),
  };
}

/** A bundle that can't be read is told of with the rest of its directory. */
function isOf(certificate: Certificate, bundle: string): boolean | undefined {
  try {
    return isIssuedBy(certificate, readIssuer(Buffer.from(bundle)));
  } catch {
    return undefined;
  }
}

/** The names among `wanted` that aren't among `altNames`, whatever their case. */
export function lackingNames(altNames: readonly string[], wanted: readonly string[]): string[] {
  const there = new Set(altNames.map((name) => name.toLowerCase()));
  return wanted.filter((name) => !there.has(name.toLowerCase()));
}

/** Whether it serves the cluster as it is: it has all of `names`. Else one is signed for its key. */
export function staysAsItIs(found: HostCertificate | undefined, names: readonly string[]): boolean {
  if (found === undefined || found.ours === false) return false;
  return found.keyFits && lackingNames(found.altNames, names).length === 0;
}

/**
 * What agents may call this server besides: they must find it by these names on every server. Those
 * that its certificate has, and those that `wished` adds.
 */
export function otherNames(
  found: HostCertificate | undefined,
  { id, sharedName }: Pick<NodeFile, "id" | "sharedName">,
  wished: readonly string[] = [],
): string[] {
  const all = [...(found?.altNames ?? []), ...wished];
  return [...new Set(all)].filter((name) => name !== id && name !== sharedName);
}
