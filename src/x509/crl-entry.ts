// One entry of a revocation list, about 36 bytes. The idea: an entry is encoded once and kept, so
// that a list of 50,000 is a copy of bytes and one signature.

import { booleanOf, derHead, derInteger, type DerReader, integerOf, malformed } from "./der.ts";
import { oidOf, readDer, TAG, unencodable } from "./der.ts";
import { Fault } from "../base/fault.ts";
import { OID } from "./oids.ts";
import { derTime, timeOf } from "./time.ts";

/** A revoked serial, when, and why (RFC 5280 §5.3.1; Puppet always says keyCompromise, 1). */
export interface CrlEntry {
  serial: bigint;
  timeMs: number;
  /** 0 unspecified, 1 keyCompromise, 2 cACompromise, … 10; 7 does not exist. */
  reason: number;
}

/** SEQUENCE OF { SEQUENCE { reasonCode, OCTET STRING { ENUMERATED } } } but for its last byte. */
const REASON_PREFIX = Buffer.from("300c300a0603551d1504030a01", "hex");
const REASON_MAX = 10;

/** Encodes an entry. Reason 0 is written as no reason, as RFC 5280 asks. */
export function encodeCrlEntry({ serial, timeMs, reason }: CrlEntry): Buffer {
  if (!Number.isInteger(reason) || reason < 0 || reason > REASON_MAX || reason === 7) {
    throw unencodable(`revocation reason ${reason} does not exist`);
  }
  if (serial < 0n) throw unencodable(`serial ${serial} is below 0`);
  const serialDer = derInteger(serial);
  const timeDer = derTime(timeMs);
  const tail = reason === 0 ? 0 : REASON_PREFIX.length + 1;
  const head = derHead(TAG.sequence, serialDer.length + timeDer.length + tail);
  const parts: Uint8Array[] = [head, serialDer, timeDer];
  if (reason !== 0) parts.push(REASON_PREFIX, Buffer.from([reason]));
  return Buffer.concat(parts);
}

/** Reads the next entry. A critical entry extension we don't know is `x509.unsupported`. */
export function readCrlEntry(reader: DerReader): CrlEntry {
  const entry = reader.enter(TAG.sequence, "CRL entry");
  const serial = integerOf(entry.expect(TAG.integer, "CRL entry: serial"), "CRL entry: serial");
  const timeMs = timeOf(entry.next("CRL entry: time"), "CRL entry: time");
  if (entry.done) return { serial, timeMs, reason: 0 };
  const node = entry.expect(TAG.sequence, "CRL entry: extensions");
  entry.finish("CRL entry");
  const { buffer, start, end } = node;
  const last = end - 1;
  // Nearly every entry ends in these very bytes; reading them one by one takes five times as long.
  const usual =
    end - start === REASON_PREFIX.length + 1 &&
    buffer.compare(REASON_PREFIX, 0, REASON_PREFIX.length, start, last) === 0;
  const reason = usual ? (buffer[last] ?? 0) : readReason(node.inside("CRL entry: extensions"));
  if (reason > REASON_MAX || reason === 7) throw malformed(`CRL entry has reason ${reason}`);
  return { serial, timeMs, reason };
}

function readReason(extensions: DerReader): number {
  const what = "CRL entry: extension";
  let reason = 0;
  while (!extensions.done) {
    const item = extensions.enter(TAG.sequence, what);
    const oid = oidOf(item.expect(TAG.oid, what), what);
    const flag = item.optional(TAG.boolean, what);
    const critical = flag !== undefined && booleanOf(flag, what);
    const value = item.expect(TAG.octetString, what).content;
    item.finish(what);
    if (oid === OID.crlReason) {
      const node = readDer(value, what);
      if (node.tag !== TAG.enumerated) throw malformed("CRL entry has a reason of another type");
      const number = integerOf(node, what);
      if (number < 0n || number > BigInt(REASON_MAX)) throw malformed(`CRL reason ${number}`);
      reason = Number(number);
    } else if (critical) {
      throw new Fault("x509.unsupported", `CRL entry has the critical extension ${oid}`);
    }
  }
  return reason;
}
