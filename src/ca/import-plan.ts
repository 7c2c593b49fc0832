// What of a CA directory the record still lacks. Pure: read content and memory in, keys to put out.

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
import { serialOf, type Serial } from "./serial.ts";

/** A key to put if its revision is still `was` (0: it isn't there). */
export interface Put {
  key: string;
  value: string;
  was: number;
}

/** Lists what is missing. `at` is when it is taken in. Empty when nothing is. */
export function planImport(
  authority: DiskAuthority,
  content: DiskContent,
  { tables }: Mirror,
  at: string,
): Put[] {
  const puts: Put[] = [];
  const issued = issuedBySerial(content, at);
  for (const [serial, value] of issued) {
    if (tables.certs.has(serial)) continue;
    puts.push({ key: certKey(serial), value: encodeValue(value), was: 0 });
  }
  for (const { certname, serial, named } of content.signed) {
    if (!named || tables.names.get(certname)?.serial === serial) continue;
    const was = tables.names.revisionOf(certname);
    puts.push({ key: nameKey(certname), value: encodeValue({ serial }), was });
  }
  for (const { certname, pem } of content.requests) {
    if (tables.requests.has(certname)) continue;
    const value: RequestValue = { id: "import", pem, at, source: "import" };
    puts.push({ key: requestKey(certname), value: encodeValue(value), was: 0 });
  }
  const [crl] = authority.crls;
  for (const { serial: number, timeMs, reason } of crl.entries) {
    const serial = serialOf(number);
    if (tables.revoked.has(serial)) continue;
    const known = issued.get(serial);
    const value: RevokedValue = {
      number: Number(crl.number ?? 0n),
      at: new Date(timeMs).toISOString(),
      reason,
      certname: known?.certname ?? null,
      ...(known === undefined ? {} : { notAfter: known.notAfter }),
    };
    puts.push({ key: revokedKey(serial), value: encodeValue(value), was: 0 });
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
      signedBy: "import",
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
