// UTCTime and GeneralizedTime in the only forms RFC 5280 §4.1.2.5 allows: whole seconds, "Z".
// Two-digit years mean 1950 to 2049.

import { type DerNode, derValue, malformed, TAG, unencodable } from "./der.ts";

/** The first moment that can be written: 1950. */
export const TIME_FIRST_MS = Date.UTC(1950, 0, 1);
const GENERALIZED_FROM_MS = Date.UTC(2050, 0, 1);
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Encodes a time (milliseconds since 1970, cut to the second): UTCTime up to the end of 2049. */
export function derTime(ms: number): Buffer {
  if (!(ms >= TIME_FIRST_MS && ms <= LAST_MS)) {
    throw unencodable(`${ms} ms is outside the years 1950 to 9999`);
  }
  // toISOString: 2026-11-20T12:30:00.000Z
  const digits = new Date(ms).toISOString().slice(0, 19).replace(/[-T:]/g, "");
  return ms < GENERALIZED_FROM_MS
    ? derValue(TAG.utcTime, Buffer.from(`${digits.slice(2)}Z`, "latin1"))
    : derValue(TAG.generalizedTime, Buffer.from(`${digits}Z`, "latin1"));
}

/** Milliseconds since 1970 of a UTCTime or GeneralizedTime. */
export function timeOf(node: DerNode, what: string): number {
  const yearDigits = node.tag === TAG.utcTime ? 2 : 4;
  if (node.tag !== TAG.utcTime && node.tag !== TAG.generalizedTime) {
    throw malformed(`${what} is not a time`);
  }
  const { buffer, contentStart: at, end } = node;
  if (end - at !== yearDigits + 11 || buffer[end - 1] !== 0x5a) {
    throw malformed(`${what} is not a time in whole seconds of UTC`);
  }
  const number = (offset: number): number => {
    const tens = (buffer[at + offset] ?? 0) - 0x30;
    const ones = (buffer[at + offset + 1] ?? 0) - 0x30;
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw malformed(`${what} is not a time`);
    return tens * 10 + ones;
  };
  const short = number(0);
  const year =
    yearDigits === 4 ? short * 100 + number(2) : short < 50 ? 2000 + short : 1900 + short;
  const [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map((n) => number(yearDigits + n));
  return instant([year, month ?? 0, day ?? 0, hour ?? 0, minute ?? 0, second ?? 0], what);
}

function instant(parts: [number, number, number, number, number, number], what: string): number {
  const [year, month, day, hour, minute, second] = parts;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const date = new Date(ms);
  // Date.UTC takes 31 February and reads years under 100 as 19xx; such input is refused instead.
  const same =
    date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  if (!same || hour > 23 || minute > 59 || second > 59) {
    throw malformed(`${what} is a time that does not exist`);
  }
  return ms;
}
