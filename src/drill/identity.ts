// The certificate of this member's synthetic agent: an ordinary one of the Puppet CA, in a folder
// of its own. It is made when it is first needed and anew before it ends; the key never leaves
// here.

import { join } from "node:path";
import { exists, makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { exportPkcs8, generateEcKey, matches, readPrivateKey } from "../x509/keys.ts";
import { createRequest } from "../x509/request.ts";

/** A certificate that ends sooner is made anew; of a short life, one that has half of it left. */
const RENEW_MS = 30 * 86_400_000;

export interface ProbeIdentity {
  certname: string;
  cert: string;
  key: string;
}

/** What is needed of the CA. */
export interface ProbeCa {
  /** Whether this very certificate (PEM) of the name is in force: not another CA's. */
  isInForce(certname: string, cert: string): boolean;
  /** Signs a request at once; a name that has a certificate of another key is refused. */
  sign(requestPem: string): Promise<string>;
  /** Revokes and forgets what the name has. */
  clean(certname: string): Promise<void>;
  /** Whether the name has a certificate. */
  has(certname: string): boolean;
}

/** The identity that is kept in `folder`, made or renewed where need be. Throws what the CA throws. */
export async function keepIdentity(
  folder: string,
  certname: string,
  ca: ProbeCa,
  nowMs: number,
): Promise<ProbeIdentity> {
  const paths = { cert: join(folder, "cert.pem"), key: join(folder, "key.pem") };
  const [cert, key] = await Promise.all([readIfThere(paths.cert), readIfThere(paths.key)]);
  const kept = cert === undefined || key === undefined ? undefined : { certname, cert, key };
  if (kept !== undefined && isGood(kept, ca, nowMs)) return kept;
  try {
    return await renew({ certname, cert, key }, { folder, paths, ca });
  } catch (error) {
    // One that ends soon is better than none.
    if (kept !== undefined && isGood(kept, ca, nowMs, 0)) return kept;
    throw error;
  }
}

async function renew(
  { certname, cert, key }: { certname: string; cert: string | undefined; key: string | undefined },
  { folder, paths, ca }: { folder: string; paths: { cert: string; key: string }; ca: ProbeCa },
): Promise<ProbeIdentity> {
  if (!(await exists(folder))) await makeFolder(folder, { mode: 0o700 });
  // An interrupted attempt has left its key: the CA gives what it signed for it again.
  const left = cert === undefined ? key : undefined;
  const fresh = left === undefined ? generateEcKey() : readPrivateKey(left);
  const freshKey = exportPkcs8(fresh);
  // Another key's makes way, and the left one's where it ended before it got here.
  const isThere = ca.has(certname);
  if (left === undefined ? isThere || cert !== undefined : !isThere) await ca.clean(certname);
  await writeFileAtomic(paths.key, freshKey, { mode: 0o600 });
  const signed = await ca.sign(createRequest({ commonName: certname, key: fresh }));
  await writeFileAtomic(paths.cert, signed, { mode: 0o644 });
  return { certname, cert: signed, key: freshKey };
}

/** Whether it may be used as it is, for `leftMs` more. */
function isGood(
  { certname, cert, key }: ProbeIdentity,
  ca: ProbeCa,
  nowMs: number,
  leftMs = RENEW_MS,
): boolean {
  try {
    const certificate = parseCertificate(cert);
    const { notBefore, notAfter, spkiDer } = certificate;
    if (!matches(readPrivateKey(key), spkiDer)) return false;
    if (!ca.isInForce(certname, cert)) return false;
    return notAfter - nowMs >= Math.min(leftMs, (notAfter - notBefore) / 2);
  } catch {
    return false;
  }
}
