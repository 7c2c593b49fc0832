// Takes a CA directory into the record: every certificate, inventory line, request and revocation.
// Idempotent: what is there already is left alone, and the key that says "there is a CA" comes
// last, so an interrupted import is simply run again. The directory itself is only read.

import { Fault } from "../base/fault.ts";
import type { Etcd } from "../etcd/types.ts";
import { crlPem } from "../x509/crl.ts";
import { verifyHead } from "./crl-head.ts";
import { issueCrl } from "./crl-issue.ts";
import { partialFault, readAuthority, type DiskAuthority } from "./directory-state.ts";
import { readContent, type DiskContent } from "./import-read.ts";
import { planImport, type Put } from "./import-plan.ts";
import { Mirror } from "./mirror.ts";
import {
  AUTHORITY_KEY,
  CA_PREFIX,
  encodeValue,
  SERIAL_KEY,
  type AuthorityValue,
} from "./record.ts";
import { SERIAL_MAX } from "./serial.ts";
import { createStore, PATIENCE, unchanged, type Store } from "./store.ts";
import { isoTime, wallMs } from "../host/clock.ts";

/** Keys per transaction: etcd's default allows 128 operations. */
const PUTS_AT_ONCE = 100;
/** Passes over the directory while somebody else imports the same. */
const PASSES_MAX = 20;

export interface ImportOptions {
  etcd: Etcd;
  cadir: string;
  memberId: string;
  /** Default `imported`; a CA that was just made is `created`. */
  origin?: AuthorityValue["origin"];
}

export interface Imported {
  /** True when the record had this CA already: nothing was done. */
  already: boolean;
  signed: number;
  requests: number;
  revoked: number;
  next: number;
  /** What is odd in the directory, in words. */
  odd: string[];
}

/**
 * Brings the authority in `cadir` into the record. Throws Fault `ca.directory-partial`,
 * `ca.directory-absent`, `ca.other-authority` when the record has another CA, or `etcd.…`.
 */
export async function importAuthority(options: ImportOptions): Promise<Imported> {
  const authority = await readAuthority(options.cadir);
  if (authority.state === "partial") throw partialFault(options.cadir, authority.problems);
  if (authority.state === "absent") {
    throw new Fault("ca.directory-absent", `there is no certificate authority in ${options.cadir}`);
  }
  const store = await loadStore(options.etcd);
  const content = await readContent(options.cadir, authority);
  const done = (already: boolean): Imported => ({
    already,
    signed: content.signed.filter(({ named }) => named).length,
    requests: content.requests.length,
    revoked: authority.crls[0].entries.length,
    next: content.next,
    odd: content.odd,
  });
  if (isThere(store, authority)) return done(true);
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const puts = planImport(authority, content, store.mirror, isoTime(wallMs()));
    if (puts.length === 0) break;
    await putAll(store, puts);
  }
  await raiseSerial(store, content);
  await firstCrl(store, authority);
  await announce(store, authority, options.origin ?? "imported");
  return done(false);
}

async function loadStore(etcd: Etcd): Promise<Store> {
  const mirror = new Mirror();
  const { kvs, revision } = await etcd.range(CA_PREFIX);
  mirror.replace(kvs, revision);
  return createStore({ etcd, mirror, patience: PATIENCE });
}

/** Whether the record has this very CA. Throws Fault `ca.other-authority` when it has another. */
function isThere(store: Store, { issuer }: DiskAuthority): boolean {
  const there = store.mirror.tables.authority.get("");
  if (there === undefined) return false;
  if (there.issuer.certificate.der.equals(issuer.certificate.der)) return true;
  throw new Fault(
    "ca.other-authority",
    `the record has the CA "${there.subject}", the directory "${issuer.certificate.subjectText}"`,
    { hints: ["A cluster has one CA. Nothing was changed."] },
  );
}

async function putAll(store: Store, puts: readonly Put[]): Promise<void> {
  for (let at = 0; at < puts.length; at += PUTS_AT_ONCE) {
    const batch = puts.slice(at, at + PUTS_AT_ONCE);
    const [first] = batch;
    if (first === undefined) return;
    // A failed compare brings what is there into memory; the next pass plans with it.
    await store.commit({
      when: batch.map(({ key, was }) => unchanged(key, was)),
      then: batch.map(({ key, value }) => ({ put: key, value })),
      settle: { key: first.key, value: first.value },
    });
  }
}

async function raiseSerial(store: Store, content: DiskContent): Promise<void> {
  const { serial } = store.mirror.tables;
  for (let pass = 0; (serial.get("")?.next ?? 0) < content.next; pass += 1) {
    if (pass === PASSES_MAX) throw new Fault("ca.busy", "the record's serial keeps changing");
    if (content.next > SERIAL_MAX) {
      throw new Fault("ca.serials-exhausted", `the next serial would be ${content.next}`);
    }
    await store.commit({
      when: [unchanged(SERIAL_KEY, serial.revisionOf(""))],
      then: [{ put: SERIAL_KEY, value: encodeValue({ next: content.next }) }],
    });
  }
}

/** The first CRL of ours has a higher number than any that the directory ever published. */
async function firstCrl(store: Store, { issuer, key, crls }: DiskAuthority): Promise<void> {
  if (store.mirror.tables.crlHead.get("") !== undefined) return;
  const head = await verifyHead(store);
  const number = Number(crls[0].number ?? 0n) + 1;
  await issueCrl({ store, issuer, key, clock: "alone" }, { head, number, revoke: [] });
}

async function announce(
  store: Store,
  { issuer, crls }: DiskAuthority,
  origin: AuthorityValue["origin"],
): Promise<void> {
  const value: AuthorityValue = {
    bundle: issuer.bundle.toString("base64"),
    subject: issuer.certificate.subjectText,
    parentCrls: crls
      .slice(1)
      .map(({ der }) => crlPem(der))
      .join(""),
    origin,
    createdAt: isoTime(wallMs()),
  };
  const text = encodeValue(value);
  const done = await store.commit({
    when: [{ key: AUTHORITY_KEY, is: "absent" }],
    then: [{ put: AUTHORITY_KEY, value: text }],
    settle: { key: AUTHORITY_KEY, value: text },
  });
  if (!done.ok && store.mirror.tables.authority.get("") === undefined) {
    throw new Fault("ca.busy", "somebody else changed the record's authority at the same time");
  }
}
