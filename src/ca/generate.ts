// A certificate for a key that an administrator's command has made on a server. It may have what no
// agent's request gets unasked, alt names and authorization extensions: whoever asks is root.

import { Fault } from "../base/fault.ts";
import { wallMs } from "../host/clock.ts";
import { parseCertificate, subjectAltNames } from "../x509/certificate.ts";
import type { Mirror } from "./mirror.ts";
import { readRequest, refuseRequest, type ReadRequest } from "./policy.ts";
import { lookAt, signIncoming, type Issued, type Signer } from "./sign.ts";

export type Generated = { certname: string; der: Buffer; issued?: Issued };

/**
 * Signs the request `pem` at once. A name that has such a certificate already, of the same key,
 * gets that one, so that a command which was interrupted may be repeated. Memory must know the
 * name. Throws Fault `ca.name-taken`, `ca.request-refused`, `etcd.…`.
 */
export async function signGenerated(signer: Signer, pem: string): Promise<Generated> {
  const parsed = readRequest(pem);
  if (!parsed.ok) throw refused(parsed.because);
  const { read } = parsed;
  const { certname } = read;
  const { names } = signer.store.mirror.tables;
  if (names.has(certname)) {
    const der = fittingDer(signer.store.mirror, read);
    if (der === undefined) throw taken(certname);
    return { certname, der };
  }
  const lax = { allowSubjectAltNames: true, allowAuthorizationExtensions: true };
  const because = refuseRequest(read, { ...signer.settings, ...lax }, signer.names);
  if (because !== undefined) throw refused(because);
  const issued = await signIncoming(signer, read, lookAt(signer.store.mirror, certname));
  if (issued === undefined) throw taken(certname);
  return { certname, der: issued.der, issued };
}

/** The name's certificate where it is in force, of the request's key, and good for its names. */
function fittingDer({ tables }: Mirror, { certname, request, altNames }: ReadRequest) {
  const serial = tables.names.get(certname)?.serial ?? "";
  const der = tables.certs.get(serial)?.der;
  if (der === undefined || tables.revoked.has(serial)) return undefined;
  const { notAfter, spkiDer, extensions } = parseCertificate(der);
  const has = new Set(subjectAltNames({ extensions }).map(({ value }) => value));
  const asks = new Set([certname, ...altNames.map(({ value }) => value)]);
  const fits = has.size === asks.size && [...asks].every((name) => has.has(name));
  return fits && notAfter > wallMs() && spkiDer.equals(request.spkiDer) ? der : undefined;
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
