// Serial numbers as the record, the CA directory and people write them. Ours stay below 2^31, where
// stock Puppet Server's own reader ends; an adopted CRL may name longer ones.

import { z } from "zod";
import { Fault } from "../base/fault.ts";

/** The largest serial that stock Puppet Server can read from its `serial` file. */
export const SERIAL_MAX = 0x7fff_ffff;

/** Longest serial that record and edges hold, in digits. X.509 allows 40, openssl more. */
const DIGITS_MAX = 64;
const PAST_ALL = 1n << BigInt(DIGITS_MAX * 4);

/** Upper-case hex, at least eight digits: its text order is its numeric order up to 2^32. */
export const Serial = z.string().regex(/^(?:[0-9A-F]{8}|[1-9A-F][0-9A-F]{8,63})$/);
export type Serial = string;

/** Whether a certificate of this serial can be in the record. */
export function isSerial(value: bigint): boolean {
  return value >= 0n && value < PAST_ALL;
}

/** The serial of a number. Throws Fault `ca.serial` for what is none. */
export function serialOf(value: bigint | number): Serial {
  if (typeof value === "number" ? !Number.isSafeInteger(value) || value < 0 : !isSerial(value)) {
    throw new Fault("ca.serial", `${value} is no serial number`);
  }
  return value.toString(16).toUpperCase().padStart(8, "0");
}

/** The serial in what a person typed: 0x1F, 1f, 001F. Throws Fault `ca.serial`. */
export function parseSerial(text: string): Serial {
  const hex = text.trim().replace(/^0x/i, "");
  if (!/^[0-9a-f]{1,64}$/i.test(hex)) {
    throw new Fault(
      "ca.serial",
      `"${text}" is no serial number: use hexadecimal digits, as in 0x1F`,
    );
  }
  return serialOf(BigInt(`0x${hex}`));
}

/** As the inventory writes it: 0x001F. */
export function renderSerial(serial: Serial): string {
  return `0x${serial.replace(/^0+/, "").padStart(4, "0")}`;
}

/** As the `serial` file has it: at least four digits, no newline. */
export function renderSerialFile(next: number): string {
  return next.toString(16).toUpperCase().padStart(4, "0");
}

/** What a `serial` file says, or undefined if stock Puppet Server could not read it either. */
export function parseSerialFile(text: string): number | undefined {
  const hex = text.trim();
  if (!/^[0-9a-f]{1,16}$/i.test(hex)) return undefined;
  const value = Number.parseInt(hex, 16);
  return value <= SERIAL_MAX ? value : undefined;
}

/** Numeric order. */
export function compareSerials(a: Serial, b: Serial): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}
