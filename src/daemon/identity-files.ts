// This server's Puppet certificate and key as HAProxy wants them: one PEM file, root only, made
// anew whenever either changes. Danger: HAProxy doesn't start with a file that it can't read, so
// nothing is written before all of it has been understood.

import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { makeFolder, readIfThere, writeIfChanged } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { lackingNames } from "../setup/host-certificate.ts";
import { parseCertificate, parseCertificates, subjectAltNames } from "../x509/certificate.ts";
import { matches, readPrivateKey } from "../x509/keys.ts";

export const EDGE_CERTIFICATE = join(PATHS.edgePki, "agents.pem");
export const PUPPET_CA = join(PATHS.edgePki, "puppet-ca.pem");

export interface EdgeIdentity {
  /** RFC 2253 text of the CA that signs agents. */
  issuers: string[];
  /** What agents may call this server: its certificate's alt names. */
  names: string[];
  /** When the certificate ends, milliseconds since the epoch. */
  endsMs: number;
}

/** What Puppet's own files hold, as PEM. */
export interface PuppetFiles {
  certificate: string;
  key: string;
  /** The issuing CA first. */
  bundle: string;
}

/**
 * Writes both files; undefined while this server has no certificate with the shared name yet.
 * Throws what decideIdentity throws; the files then stay as they are.
 */
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
  const identity = decideIdentity({ certificate, key, bundle }, sharedName);
  if (identity === undefined) return undefined;
  await makeFolder(PATHS.edgePki, { mode: 0o700 });
  const text = `${certificate.trimEnd()}\n${key.trimEnd()}\n`;
  await writeIfChanged(EDGE_CERTIFICATE, text, { mode: 0o600 });
  await writeIfChanged(PUPPET_CA, bundle, { mode: 0o644 });
  return identity;
}

/**
 * Who agents' certificates must come from, when the files are fit for the edge; undefined while the
 * certificate lacks the shared name. Throws Fault `x509.malformed`, `x509.key` or `edge.identity`.
 */
export function decideIdentity(files: PuppetFiles, sharedName: string): EdgeIdentity | undefined {
  const own = parseCertificate(files.certificate);
  const names = subjectAltNames(own).map(({ value }) => value);
  if (lackingNames(names, [sharedName]).length > 0) return undefined;
  if (!matches(readPrivateKey(files.key), own.spkiDer)) {
    throw new Fault("edge.identity", "this server's Puppet certificate isn't for its private key", {
      hints: ["The edge goes on with the pair it has."],
    });
  }
  const [issuing] = parseCertificates(files.bundle);
  if (issuing === undefined) {
    throw new Fault("edge.identity", "this server's copy of the CA certificate is empty", {
      hints: ["The edge goes on with the one it has."],
    });
  }
  return { issuers: [issuing.subjectText], names, endsMs: own.notAfter };
}
