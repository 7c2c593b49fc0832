// What of a CA directory the record still lacks. Pure: read content and memory in, keys to put out.
// The idea: the directory may be ahead of an earlier import, because stock signed on while setup
// was interrupted. Danger: it may also lag behind the record; what a member signed is the record's.

import { Fault } from "../base/fault.ts";
import type { NewRevocation } from "./crl-issue.ts";
import type { DiskAuthority } from "./directory-state.ts";
import type { DiskContent } from "./import-read.ts";
import type { Mirror } from "./mirror.ts";
import {
  certKey,
  encodeValue,
  nameKey,
  requestKey,
  revokedKey,
  type CertValue,
  type RequestValue,
  type RevokedValue,
} from "./record.ts";
import type { Put } from "./store.ts";
import { wasSigned } from "./repair.ts";
import type { Serial } from "./serial.ts";

const IMPORT = "import";
/** The highest CRL number that leaves room for a new one each second, for longer than anybody asks. */
const CRL_NUMBER_MAX = 2n ** 52n;

/**
 * Lists what is missing but for revocations that need a CRL of their own. `at` is when it is taken
 * in. Empty when nothing is. Throws Fault `ca.serial-twice`.
 */
export function planImport(
  authority: DiskAuthority,
  content: DiskContent,
  mirror: Mirror,
  at: string,
): Put[] {
  const { tables } = mirror;
  const issued = issuedBySerial(content, at);
  refuseTwice(issued, mirror);
  const puts: Put[] = [];
  for (const [serial, value] of issued) {
    if (tables.certs.has(serial)) continue;
    puts.push({ key: certKey(serial), value: encodeValue(value), was: 0 });
  }
  puts.push(...planNames(content, mirror), ...planRequests(content, mirror, at));
  // Once there is a CRL in the record, further entries come with a further one.
  if (tables.crlHead.has("")) return puts;
  const number = publishedNumber(authority);
  for (const { serial, atMs, ...entry } of planRevocations(content, mirror)) {
    const { reason, certname, notAfterMs } = entry;
    const value: RevokedValue = {
      number,
      at: new Date(atMs).toISOString(),
      reason,
      certname,
      ...(notAfterMs === undefined ? {} : { notAfter: new Date(notAfterMs).toISOString() }),
    };
    puts.push({ key: revokedKey(serial), value: encodeValue(value), was: 0 });
  }
  return puts;
}

/** What the directory's CRL revokes and the record doesn't. */
export function planRevocations(
  content: DiskContent,
  { tables }: Mirror,
): (NewRevocation & { atMs: number })[] {
  const issued = issuedBySerial(content, "");
  return content.revoked.flatMap(({ serial, atMs, reason }) => {
    if (tables.revoked.has(serial)) return [];
    const known = issued.get(serial);
    const notAfterMs = known === undefined ? undefined : Date.parse(known.notAfter);
    return [{ serial, certname: known?.certname ?? null, notAfterMs, reason, atMs }];
  });
}

/**
 * The number of the directory's CRL; 0 when it has none. Throws Fault `x509.unsupported` for one
 * that the record can't count on from.
 */
export function publishedNumber({ crls }: Pick<DiskAuthority, "crls">): number {
  const { number = 0n } = crls[0];
  if (number <= 0n) return 0;
  if (number <= CRL_NUMBER_MAX) return Number(number);
  throw new Fault(
    "x509.unsupported",
    `the number of the CRL in the CA directory, ${number}, is above ${CRL_NUMBER_MAX}`,
    { hints: ["Numbers only ever grow, and there is no room left to count on."] },
  );
}

/** One serial must never stand for two certificates: a CRL could not tell them apart. */
function refuseTwice(issued: Map<Serial, CertValue>, { tables }: Mirror): void {
  for (const [serial, { certname, der }] of issued) {
    const there = tables.certs.get(serial);
    if (there === undefined) continue;
    const others = there.signedBy !== IMPORT && there.certname !== certname;
    const differs = der !== null && there.der !== undefined && there.der.toString("base64") !== der;
    if (!others && !differs) continue;
    throw new Fault(
      "ca.serial-twice",
      `serial ${serial} is ${there.certname}'s in the record and ${certname}'s in the directory`,
      {
        hints: [
          "Puppet's own CA signed on after an interrupted init. Nothing was changed just now.",
          `Move signed/${certname}.pem away, delete its line from inventory.txt, run this again,`,
          `and have ${certname} ask for a new certificate: puppet ssl clean, then a run.`,
        ],
      },
    );
  }
}

function planNames(content: DiskContent, { tables }: Mirror): Put[] {
  const puts: Put[] = [];
  const { names, certs, revoked } = tables;
  const isOurs = (serial: Serial) => (certs.get(serial)?.signedBy ?? IMPORT) !== IMPORT;
  // Before, everything in the record is the files'; since then a member may have cleaned a name.
  const wasWhole = tables.authority.has("");
  for (const { certname, serial, named } of content.signed) {
    const current = names.get(certname)?.serial;
    if (!named || current === serial) continue;
    const cleaned = wasWhole && revoked.has(serial);
    if (cleaned || isOurs(serial) || (current !== undefined && isOurs(current))) continue;
    const was = names.revisionOf(certname);
    puts.push({ key: nameKey(certname), value: encodeValue({ serial }), was });
  }
  // Stock's `clean`, also of what an import that was cut off took in: the file is gone and the
  // certificate revoked.
  const files = new Set(content.signed.map(({ certname }) => certname));
  const ended = new Set(content.revoked.map(({ serial }) => serial));
  for (const certname of names.names()) {
    const serial = names.get(certname)?.serial ?? "";
    if (files.has(certname) || !ended.has(serial) || isOurs(serial)) continue;
    puts.push({ key: nameKey(certname), value: null, was: names.revisionOf(certname) });
  }
  return puts;
}

function planRequests({ requests }: DiskContent, mirror: Mirror, at: string): Put[] {
  const puts: Put[] = [];
  const { requests: there } = mirror.tables;
  for (const { certname, pem } of requests) {
    if (there.get(certname)?.pem === pem) continue;
    if (wasSigned(mirror, certname, Buffer.from(pem))) continue;
    const value: RequestValue = { id: IMPORT, pem, at, source: IMPORT };
    const was = there.revisionOf(certname);
    puts.push({ key: requestKey(certname), value: encodeValue(value), was });
  }
  // What stock signed or refused meanwhile.
  const files = new Set(requests.map(({ certname }) => certname));
  for (const certname of there.names()) {
    if (files.has(certname) || there.get(certname)?.source !== IMPORT) continue;
    puts.push({ key: requestKey(certname), value: null, was: there.revisionOf(certname) });
  }
  return puts;
}

/** Every certificate that is known of: by its file, or else by its line in the inventory. */
function issuedBySerial(content: DiskContent, at: string): Map<Serial, CertValue> {
  const issued = new Map<Serial, CertValue>();
  const add = (serial: Serial, der: Buffer | null, from: IssuedTimes & { certname: string }) => {
    if (issued.has(serial)) return;
    issued.set(serial, {
      certname: from.certname,
      der: der === null ? null : der.toString("base64"),
      notBefore: new Date(from.notBeforeMs).toISOString(),
      notAfter: new Date(from.notAfterMs).toISOString(),
      signedBy: IMPORT,
      at,
    });
  };
  for (const { certname, serial, certificate } of content.signed) {
    const { notBefore: notBeforeMs, notAfter: notAfterMs, der } = certificate;
    add(serial, der, { certname, notBeforeMs, notAfterMs });
  }
  for (const line of content.inventory) add(line.serial, null, line);
  return issued;
}

interface IssuedTimes {
  notBeforeMs: number;
  notAfterMs: number;
}
