// Serials that the CA may have given although the record has no certificate of them: a restored
// backup, or a directory that lost its files, doesn't know all that was signed.

import type { Issuer } from "./issuer.ts";
import type { Mirror } from "./mirror.ts";
import { parseSerialFile, serialOf, type Serial } from "./serial.ts";

/** Whether this serial may have been given before the record began. */
export function wasGivenBefore({ tables }: Mirror, issuer: Issuer, serial: Serial): boolean {
  const number = parseSerialFile(serial);
  if (number === undefined || serialOf(number) !== serial) return false;
  if (number >= (tables.serial.get("")?.next ?? 0)) return false;
  // What a member has yet to give is nobody's, and the CA's own is no agent's.
  const reserved = [...tables.blocks.rows()].some(({ from, to }) => from <= number && number <= to);
  const { serial: own, issuerDer, subjectDer } = issuer.certificate;
  return !reserved && !(own === BigInt(number) && issuerDer.equals(subjectDer));
}
