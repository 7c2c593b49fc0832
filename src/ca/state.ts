// What status says of this server's authority.

import type { Expiry, ExpiryKind } from "../cluster/expiry.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { type Crl, parseCrls } from "../x509/crl.ts";
import { ejectedOf, type Core } from "./core.ts";
import { CRL_REFRESH_MS } from "./loop.ts";

/** What ends next is looked for anew so often. */
const EXPIRY_EVERY_MS = 30_000;

export interface CaState {
  /** Whether it can answer reads. */
  serving: boolean;
  /** Why it doesn't serve, or what it can't do; empty when all is well. */
  because: string;
  /** Requests that wait. */
  requests: number;
  /** Names that have a certificate. */
  certificates: number;
  crlNumber: number;
  /** How many certificates were ever revoked. */
  revocations: number;
  /** ISO time; empty when there is no CRL. */
  crlNextUpdate: string;
  /** What ends next of the CA's certificates, the CRL and current certificates. */
  nextExpiry?: { what: string; at: string };
  /** When the CA's certificates and its lists end, and those of the CAs above. */
  expiries: Expiry[];
  directory: { behind: number; why: string | undefined; unknown: string[] };
  /** `directory` in words; empty when it is in step. */
  directoryBehind: string;
  /** Keys of the record that can't be understood. */
  unreadable: string[];
}

/** Looks at the parts; pure but for the clock. */
export function describeState(core: Core): CaState {
  const { mirror, publisher, directory } = core;
  const crl = publisher.crl();
  const { behind, why } = directory.state();
  const problems = [core.key.problem(), publisher.alarm() ?? ""].filter((text) => text !== "");
  if (!core.loaded) problems.push("etcd was not reached since the start");
  if (crl === undefined) problems.unshift("no CRL is published here yet");
  const { next: expiry, expiries } = lookAtEnds(core);
  return {
    serving: crl !== undefined,
    because: problems.join("; "),
    requests: mirror.tables.requests.size,
    certificates: mirror.tables.names.size,
    crlNumber: crl?.number ?? 0,
    revocations: mirror.tables.revoked.size,
    crlNextUpdate: crl === undefined ? "" : isoTime(crl.nextUpdateMs),
    ...(expiry === undefined ? {} : { nextExpiry: expiry }),
    expiries,
    directory: { behind, why, unknown: [...core.unknown.keys()] },
    directoryBehind: why === undefined ? "" : `${behind} changes wait: ${why}`,
    unreadable: [...mirror.unreadable.keys()],
  };
}

type Next = { what: string; at: string } | undefined;
interface Ends {
  next: Next;
  expiries: Expiry[];
}

/** The last answer of each authority: with 50,000 certificates a look takes 25 ms. */
const looked = new WeakMap<Core, { atMs: number; ends: Ends }>();

function lookAtEnds(core: Core): Ends {
  const last = looked.get(core);
  if (last !== undefined && monotonicMs() - last.atMs < EXPIRY_EVERY_MS) return last.ends;
  const ends = { next: findNext(core), expiries: findExpiries(core) };
  looked.set(core, { atMs: monotonicMs(), ends });
  return ends;
}

function findExpiries(core: Core): Expiry[] {
  const { publisher, issuer, mirror } = core;
  const ends = (kind: ExpiryKind, what: string, fromMs: number, toMs: number): Expiry => ({
    kind,
    what,
    from: isoTime(fromMs),
    to: isoTime(toMs),
  });
  const { certificates, certificate } = issuer();
  const crl = publisher.crl();
  const due = crl && isoTime(crl.thisUpdateMs + CRL_REFRESH_MS);
  const own =
    crl && ends("puppet-crl", certificate.subjectText, crl.thisUpdateMs, crl.nextUpdateMs);
  const parents = readLists(mirror.tables.authority.get("")?.parentCrls ?? "");
  return [
    ...certificates.map((each) =>
      ends("puppet-ca", each.subjectText, each.notBefore, each.notAfter),
    ),
    // Stock signs no CRL before something is revoked.
    ...(own === undefined || due === undefined || ejectedOf(core) !== undefined
      ? []
      : [{ ...own, due }]),
    ...parents.flatMap(({ issuerText, thisUpdateMs, nextUpdateMs }) =>
      nextUpdateMs === undefined
        ? []
        : [ends("parent-crl", issuerText, thisUpdateMs, nextUpdateMs)],
    ),
  ];
}

/** A list that can't be read must not keep all else from being said. */
function readLists(pem: string): Crl[] {
  try {
    return parseCrls(pem);
  } catch {
    return [];
  }
}

function findNext({ mirror, publisher, issuer }: Core): Next {
  const nowMs = wallMs();
  const { names, certs, revoked } = mirror.tables;
  let first: { what: string; atMs: number } | undefined;
  const consider = (what: string, atMs: number) => {
    if (first === undefined || atMs < first.atMs) first = { what, atMs };
  };
  for (const { subjectText, notAfter } of issuer().certificates) consider(subjectText, notAfter);
  const crl = publisher.crl();
  if (crl !== undefined) consider(`CRL ${crl.number}`, crl.nextUpdateMs);
  for (const certname of names.names()) {
    const row = certs.get(names.get(certname)?.serial ?? "");
    const counts = row !== undefined && !revoked.has(row.serial) && row.notAfterMs > nowMs;
    if (counts) consider(certname, row.notAfterMs);
  }
  return first && { what: first.what, at: isoTime(first.atMs) };
}
