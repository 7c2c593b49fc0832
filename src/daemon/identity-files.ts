// This server's Puppet certificate and key as HAProxy wants them: one PEM file, root only, made
// anew whenever either changes.

import { join } from "node:path";
import { makeFolder, readIfThere, writeIfChanged } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { parseCertificate, parseCertificates, subjectAltNames } from "../x509/certificate.ts";

export const EDGE_CERTIFICATE = join(PATHS.edgePki, "agents.pem");
export const PUPPET_CA = join(PATHS.edgePki, "puppet-ca.pem");

export interface EdgeIdentity {
  /** RFC 2253 text of the CA that signs agents. */
  issuers: string[];
}

/** Writes both files; undefined while this server has no certificate with the shared name yet. */
export async function keepEdgeIdentity(
  layout: PuppetLayout,
  sharedName: string,
): Promise<EdgeIdentity | undefined> {
  const [certificate, key, bundle] = await Promise.all([
    readIfThere(layout.hostcert),
    readIfThere(layout.hostprivkey),
    readIfThere(layout.localcacert),
  ]);
  if (certificate === undefined || key === undefined || bundle === undefined) return undefined;
  if (!hasName(certificate, sharedName)) return undefined;
  await makeFolder(PATHS.edgePki, { mode: 0o700 });
  const text = `${certificate.trimEnd()}\n${key.trimEnd()}\n`;
  await writeIfChanged(EDGE_CERTIFICATE, text, { mode: 0o600 });
  await writeIfChanged(PUPPET_CA, bundle, { mode: 0o644 });
  const [issuing] = parseCertificates(bundle);
  if (issuing === undefined) return undefined;
  return { issuers: [issuing.subjectText] };
}

function hasName(pem: string, name: string): boolean {
  return subjectAltNames(parseCertificate(pem)).some((each) => each.value === name);
}
