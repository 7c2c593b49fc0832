// The certificate authority of one server. Every server runs one; none is special. What it answers
// comes from memory or disk, what it changes goes through the record.
// Danger: without etcd it answers reads and changes nothing.

import type { Hono } from "hono";
import type { Loop } from "../base/loop.ts";
import { wallMs } from "../host/clock.ts";
import type { Ejected } from "../cluster/schema.ts";
import type { PublishedCrl } from "./crl.ts";
import { createCore, ejectedOf, type CaDeps } from "./core.ts";
import { verifyHead } from "./crl-head.ts";
import { endAuthority, handOver, type Ended, type HandOver } from "./eject.ts";
import { followStock, revocationsOf, type Revocation } from "./follow-stock.ts";
import type { HandedOver } from "./handed-over.ts";
import { refreshCrl, repair, startLoops } from "./loop.ts";
import { createOperations, type Operations } from "./operations.ts";
import { createRoutes } from "./routes.ts";
import { describeState, type CaState } from "./state.ts";
import { type Shown, showCertificates } from "./show.ts";
import { allStatuses, type CertState, type CertStatus, type ListFilter } from "./view.ts";
import { listStatuses, prepareStatuses } from "./view.ts";
import { type Verified, verifyAuthority } from "./verify.ts";

export type { CaDeps } from "./core.ts";

export type { Revocation } from "./follow-stock.ts";

/** So many certificates' statuses are made in half a second, before anybody asks for them. */
const PREPARED_FIRST_MAX = 25_000;

export interface Ca extends Operations {
  /** HTTP as the edge's backend: /puppet-ca/v1, /status/v1, /health/ca. */
  routes: Hono;
  /** Starts what keeps memory and directory in step until `signal` aborts: to be watched. */
  startLoops(signal: AbortSignal): Loop[];
  /** Brings the directory in step once; resolves when that is on disk. The loops do so themselves. */
  repair(): Promise<void>;
  /** Requests and certificates as clients see them. */
  list(state?: CertState): CertStatus[];
  /** A page of them, by name, and how many there are in all. */
  find(filter: ListFilter): { entries: CertStatus[]; total: number };
  /** All that the record has of a name, or of a serial. */
  show(what: string): Shown;
  /** Every revocation there is, oldest first: what an edge must refuse. */
  revocations(): Revocation[];
  /** The issuing CA's subject as RFC 2253 writes it; with a serial it names a certificate. */
  issuerText(): string;
  /** The CAs of the bundle, and our own CRL: bytes as published. */
  bundle(): Buffer;
  currentCrl(): PublishedCrl | undefined;
  /** Signs the CRL anew when it is so old, by default a month. Returns whether this server did. */
  refreshCrl(olderThanMs?: number): Promise<boolean>;
  state(): CaState;
  /** Checks record and CA directory; changes nothing. */
  verify(): Promise<Verified>;
  /**
   * Throws Fault `ca.no-key`, `ca.clock-off` when this server may not sign now, `ca.record-older`,
   * `ca.crl-mismatch`, `cluster.…`, `etcd.…` when nothing could be revoked in the record.
   */
  requireSigner(): Promise<void>;
  /** Where the CA went; undefined while it is the cluster's. */
  ejected(): Ejected | undefined;
  /** The mark that this server's CA directory is stock Puppet Server's. */
  handedOver(): HandedOver | undefined;
  /** Ends the cluster's CA in favour of this server's stock Puppet Server. See endAuthority. */
  end(): Promise<Ended>;
  /** Makes this server's CA directory stock Puppet Server's. See handOver. */
  handOver(wish: HandOver): Promise<HandedOver>;
  /**
   * Takes the CRL of stock's CA, PEM: what it revokes is among `revocations` then. Throws Fault
   * `ca.crl-refused`, `ca.crl-older`.
   */
  followStock(pem: Buffer): Promise<void>;
  /** Ends retries and waits for writes that are running. */
  close(): Promise<void>;
}

/**
 * Starts this server's authority with what the record says, or, while etcd is out of reach, with
 * what is on disk. Throws Fault `ca.no-record` when there is no CA in either, `x509.…`.
 */
export async function createCa(deps: CaDeps): Promise<Ca> {
  const closed = new AbortController();
  const core = await createCore(deps, closed.signal);
  if (core.loaded) await core.publisher.publishCrl();
  const { names } = core.mirror.tables;
  // Of more, the loops do it in the background: a start must not wait for that.
  if (names.size <= PREPARED_FIRST_MAX) await prepareStatuses(core.mirror);
  const operations = createOperations(core);
  return {
    ...operations,
    routes: createRoutes(core, operations),
    startLoops: (signal) => startLoops(core, signal),
    repair: () => repair(core),
    list: (state) => allStatuses(core.mirror, state),
    find: (filter) => listStatuses(core.mirror, filter),
    show: (what) => showCertificates(core.mirror, what, wallMs()),
    revocations: () => revocationsOf(core),
    issuerText: () => core.issuer().certificate.subjectText,
    bundle: () => core.issuer().bundle,
    currentCrl: () => core.publisher.crl(),
    refreshCrl: (olderThanMs) => refreshCrl(core, olderThanMs),
    state: () => describeState(core),
    verify: () => verifyAuthority(core),
    async requireSigner() {
      core.signer();
      await verifyHead(core.store);
      await core.guard();
    },
    ejected: () => ejectedOf(core),
    handedOver: () => core.handedOver,
    end: () => endAuthority(core),
    handOver: (wish) => handOver(core, wish),
    followStock: (pem) => followStock(core, pem),
    async close() {
      closed.abort();
      await core.directory.idle();
      core.mirror.close();
    },
  };
}
