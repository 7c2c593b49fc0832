// Takes a CA directory into the record: every certificate, inventory line, request and revocation.
// Idempotent: the key that says "there is a CA" comes last, so an interrupted import is run again,
// and one that is run again when all is there takes in what stock did since. The directory itself
// is only read.

import { Fault } from "../base/fault.ts";
import type { Etcd } from "../etcd/types.ts";
import { crlPem } from "../x509/crl.ts";
import { verifyHead } from "./crl-head.ts";
import { issueCrl, REVOKE_AT_ONCE } from "./crl-issue.ts";
import { findOddities, type Oddity } from "./import-oddities.ts";
import { partialFault, readAuthority, type DiskAuthority } from "./directory-state.ts";
import { readContent, type DiskContent } from "./import-read.ts";
import { planImport, planRevocations, publishedNumber } from "./import-plan.ts";
import { Mirror } from "./mirror.ts";
import { AUTHORITY_KEY, encodeValue, SERIAL_KEY, type AuthorityValue } from "./record.ts";
import { SERIAL_MAX } from "./serial.ts";
import { createStore, PATIENCE, putAll, readRecord, unchanged, type Store } from "./store.ts";
import { isoTime, wallMs } from "../host/clock.ts";

/** Passes over the directory while somebody else imports the same. */
const PASSES_MAX = 20;

/** What a CA directory has, or the record after an import. */
export interface Survey {
  /** Names whose certificate isn't revoked. */
  signed: number;
  requests: number;
  revoked: number;
  /** The lowest serial that nobody has. */
  next: number;
  /** What is odd in the directory. */
  oddities: Oddity[];
}

/**
 * Brings the authority in `cadir` into the record. Nobody may sign in the directory meanwhile.
 * Throws Fault `ca.directory-partial`, `ca.directory-absent`, `ca.other-authority` when the record
 * has another CA, `ca.serial-twice`, or `etcd.…`.
 */
export async function importAuthority(options: { etcd: Etcd; cadir: string }): Promise<Survey> {
  const authority = await requireAuthority(options.cadir);
  const store = await loadStore(options.etcd);
  refuseOther(store, authority);
  const content = await readContent(options.cadir, authority);
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const puts = planImport(authority, content, store.mirror, isoTime(wallMs()));
    if (puts.length === 0) break;
    await putAll(store, puts);
  }
  await raiseSerial(store, content);
  await bringCrl(store, authority, content);
  await announce(store, authority, content);
  const { names, requests, revoked, serial } = store.mirror.tables;
  return {
    signed: [...names.rows()].filter((row) => !revoked.has(row.serial)).length,
    requests: requests.size,
    revoked: revoked.size,
    next: serial.get("")?.next ?? 0,
    oddities: oddities(authority, content),
  };
}

/** What there is in `cadir`, without taking anything in. Throws as importAuthority does. */
export async function surveyAuthority(cadir: string): Promise<Survey> {
  const authority = await requireAuthority(cadir);
  const content = await readContent(cadir, authority);
  const { signed, requests, revoked, next } = content;
  const ended = new Set(revoked.map(({ serial }) => serial));
  return {
    signed: signed.filter(({ named, serial }) => named && !ended.has(serial)).length,
    requests: requests.length,
    revoked: revoked.length,
    next,
    oddities: oddities(authority, content),
  };
}

async function requireAuthority(cadir: string): Promise<DiskAuthority> {
  const authority = await readAuthority(cadir);
  if (authority.state === "partial") throw partialFault(cadir, authority.problems);
  if (authority.state === "complete") return authority;
  throw new Fault("ca.directory-absent", `there is no certificate authority in ${cadir}`);
}

function oddities({ issuer, crls, next }: DiskAuthority, content: DiskContent): Oddity[] {
  const cas = issuer.certificates;
  return findOddities({ ...content, cas, crls, serialFile: next }, wallMs());
}

async function loadStore(etcd: Etcd): Promise<Store> {
  const mirror = new Mirror();
  await readRecord(etcd, mirror);
  return createStore({ etcd, mirror, patience: PATIENCE });
}

/** Throws Fault `ca.other-authority` when the record has another CA than this. */
function refuseOther(store: Store, { issuer }: DiskAuthority): void {
  const there = store.mirror.tables.authority.get("");
  if (there === undefined) return;
  if (there.issuer.certificate.der.equals(issuer.certificate.der)) return;
  throw new Fault(
    "ca.other-authority",
    `the record has the CA "${there.subject}", the directory "${issuer.certificate.subjectText}"`,
    { hints: ["A cluster has one CA. Nothing was changed."] },
  );
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

/**
 * Signs a CRL above every one that the directory or the record has published, with what the
 * directory revokes and the record doesn't yet.
 */
async function bringCrl(
  store: Store,
  authority: DiskAuthority,
  content: DiskContent,
): Promise<void> {
  const published = publishedNumber(authority);
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const head = await verifyHead(store);
    const missing = planRevocations(content, store.mirror);
    if (head.number > 0 && head.number >= published && missing.length === 0) return;
    const number = Math.max(head.number, published) + 1;
    const revoke = missing.slice(0, REVOKE_AT_ONCE);
    await issueCrl({ store, ...authority, clock: "alone" }, { head, number, revoke });
  }
  throw new Fault("ca.busy", "the record's CRL keeps changing: try again");
}

/** Says that there is a CA now. */
async function announce(
  store: Store,
  { issuer, crls }: DiskAuthority,
  content: DiskContent,
): Promise<void> {
  if (store.mirror.tables.authority.has("")) return;
  const isNew = content.signed.length === 0 && content.inventory.length === 0;
  const value: AuthorityValue = {
    bundle: issuer.bundle.toString("base64"),
    subject: issuer.certificate.subjectText,
    parentCrls: crls
      .slice(1)
      .map(({ der }) => crlPem(der))
      .join(""),
    origin: isNew ? "created" : "imported",
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
