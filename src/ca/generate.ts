// A certificate for a key that an administrator's command has made on a server. It may have what no
// agent's request gets unasked, alt names and authorization extensions: whoever asks is root.

import { Fault } from "../base/fault.ts";
import { parseCertificate } from "../x509/certificate.ts";
import type { Mirror } from "./mirror.ts";
import { readRequest, refuseRequest, type ReadRequest } from "./policy.ts";
import { lookAt, signIncoming, type Issued, type Signer } from "./sign.ts";

export type Generated = { certname: string; der: Buffer; issued?: Issued };

/**
 * Signs the request `pem` at once. A name that has a certificate of the same key gets that one, so
 * that a command which was interrupted may be repeated. Memory must know the name. Throws Fault
 * `ca.name-taken`, `ca.request-refused`, `etcd.…`.
 */
export async function signGenerated(signer: Signer, pem: string): Promise<Generated> {
  const parsed = readRequest(pem);
  if (!parsed.ok) throw refused(parsed.because);
  const { read } = parsed;
  const { certname } = read;
  const there = currentDer(signer.store.mirror, certname);
  if (there !== undefined && isFor(there, read)) return { certname, der: there };
  if (there !== undefined) throw taken(certname);
  const lax = { allowSubjectAltNames: true, allowAuthorizationExtensions: true };
  const because = refuseRequest(read, { ...signer.settings, ...lax }, signer.names);
  if (because !== undefined) throw refused(because);
  const issued = await signIncoming(signer, read, lookAt(signer.store.mirror, certname));
  if (issued === undefined) throw taken(certname);
  return { certname, der: issued.der, issued };
}

function currentDer({ tables }: Mirror, certname: string): Buffer | undefined {
  const serial = tables.names.get(certname)?.serial;
  if (serial === undefined) return undefined;
  return tables.certs.get(serial)?.der ?? Buffer.alloc(0);
}

function isFor(der: Buffer, { request }: ReadRequest): boolean {
  return der.length > 0 && parseCertificate(der).spkiDer.equals(request.spkiDer);
}

function refused(because: string): Fault {
  return new Fault("ca.request-refused", because);
}

function taken(certname: string): Fault {
  return new Fault("ca.name-taken", `${certname} has a certificate already`, {
    hints: [
      `What it has: understudy ca show ${certname}`,
      `To make a new one: understudy ca clean ${certname}, which revokes the old one`,
    ],
  });
}
