// inventory.txt: one line for each certificate ever issued, only appended to.
// Stock's tools split on single spaces and want exactly four columns.

import type { Next } from "./pieces.ts";
import { renderSerial, serialOf, type Serial } from "./serial.ts";

export interface InventoryLine {
  serial: Serial;
  /** Milliseconds since the epoch. */
  notBeforeMs: number;
  notAfterMs: number;
  certname: string;
}

const LINE =
  /^(?:0x)?([0-9a-f]{1,64}) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)UTC (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)UTC \/CN=([\x21-\x7e]{1,255})$/i;

/** A time as Puppet's files and answers write it: 2026-11-20T10:00:00UTC. */
export function renderPuppetTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}UTC`;
}

/** One line with its newline. */
export function renderInventoryLine(line: InventoryLine): string {
  const times = `${renderPuppetTime(line.notBeforeMs)} ${renderPuppetTime(line.notAfterMs)}`;
  return `${renderSerial(line.serial)} ${times} /CN=${line.certname}\n`;
}

/**
 * The lines of `text`, and those that are not understood, with their numbers. Blank ones are
 * nothing.
 */
export function parseInventory(text: string): {
  lines: InventoryLine[];
  odd: { number: number; text: string }[];
} {
  const lines: InventoryLine[] = [];
  const odd: { number: number; text: string }[] = [];
  for (const { number, raw, line } of linesOf(text)) {
    if (line === undefined) odd.push({ number, text: raw.slice(0, 200) });
    else lines.push(line);
  }
  return { lines, odd };
}

/** Takes the lines of a long `text` in pieces, so that others have their turn in between. */
export async function takeLines(
  text: string,
  next: Next,
  take: (line: InventoryLine) => void,
): Promise<void> {
  for (const { line } of linesOf(text)) {
    await next();
    if (line !== undefined) take(line);
  }
}

/** The serials of the lines of `text`: all that is kept of a hundred thousand. */
export async function serialsIn(text: string, next: Next): Promise<Set<Serial>> {
  const serials = new Set<Serial>();
  await takeLines(text, next, ({ serial }) => serials.add(serial));
  return serials;
}

/** One after the other: to split the text would hold every line twice. */
function* linesOf(
  text: string,
): Generator<{ number: number; raw: string; line: InventoryLine | undefined }> {
  let number = 0;
  for (let from = 0; from < text.length;) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end;
    const raw = text.slice(from, to);
    number += 1;
    from = to + 1;
    if (raw.trim() !== "") yield { number, raw, line: parseLine(raw.trimEnd()) };
  }
}

/** Undefined for times that don't exist, some of which Date takes for others. */
function timeOf(text = ""): number | undefined {
  const ms = Date.parse(`${text}Z`);
  // It takes 31 February for a day in March, and 24:00 for the next day.
  return new Date(ms).getUTCDate() === Number(text.slice(8, 10)) ? ms : undefined;
}

function parseLine(text: string): InventoryLine | undefined {
  const [, hex, from, to, certname] = LINE.exec(text) ?? [];
  if (hex === undefined || certname === undefined) return undefined;
  const [notBeforeMs, notAfterMs] = [timeOf(from), timeOf(to)];
  if (notBeforeMs === undefined || notAfterMs === undefined) return undefined;
  return { serial: serialOf(BigInt(`0x${hex}`)), notBeforeMs, notAfterMs, certname };
}
