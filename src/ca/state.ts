// What status says of this server's authority.

import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import type { Core } from "./core.ts";

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
  /** ISO time; empty when there is no CRL. */
  crlNextUpdate: string;
  /** What ends next of the CA's certificates, the CRL and current certificates. */
  nextExpiry?: { what: string; at: string };
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
  const expiry = nextExpiry(core);
  return {
    serving: crl !== undefined,
    because: problems.join("; "),
    requests: mirror.tables.requests.size,
    certificates: mirror.tables.names.size,
    crlNumber: crl?.number ?? 0,
    crlNextUpdate: crl === undefined ? "" : isoTime(crl.nextUpdateMs),
    ...(expiry === undefined ? {} : { nextExpiry: expiry }),
    directory: { behind, why, unknown: core.unknown },
    directoryBehind: why === undefined ? "" : `${behind} changes wait: ${why}`,
    unreadable: [...mirror.unreadable.keys()],
  };
}

type Expiry = { what: string; at: string } | undefined;

/** The last answer of each authority: with 50,000 certificates a look takes 25 ms. */
const looked = new WeakMap<Core, { atMs: number; expiry: Expiry }>();

function nextExpiry(core: Core): Expiry {
  const last = looked.get(core);
  if (last !== undefined && monotonicMs() - last.atMs < EXPIRY_EVERY_MS) return last.expiry;
  const expiry = findExpiry(core);
  looked.set(core, { atMs: monotonicMs(), expiry });
  return expiry;
}

function findExpiry({ mirror, publisher, issuer }: Core): Expiry {
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
