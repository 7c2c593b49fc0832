// Reads what a CA directory holds besides its main files: signed/, requests/, the inventory's
// lines. One bad file never hides the others: it is left out and reported.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import { printable } from "../base/printable.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import type { CrlEntry } from "../x509/crl.ts";
import { TIME_FIRST_MS } from "../x509/time.ts";
import { isCertname } from "./certname.ts";
import { eachAtOnce } from "./directory.ts";
import { pemNames, type DiskAuthority } from "./directory-state.ts";
import type { Note, OddityKind } from "./import-oddities.ts";
import { parseInventory, type InventoryLine } from "./inventory.ts";
import { isIssuedBy, type Issuer } from "./issuer.ts";
import { caLayout } from "./layout.ts";
import { readRequest } from "./policy.ts";
import { isSerial, SERIAL_MAX, serialOf, type Serial } from "./serial.ts";

const READS_AT_ONCE = 16;

export interface SignedFile {
  /** The certificate's own name; the file's may be another one. */
  certname: string;
  /** Whether the file is named for it, so that it is the name's current certificate. */
  named: boolean;
  serial: Serial;
  certificate: Certificate;
}

/** An entry of the directory's CRL. */
export interface RevokedEntry {
  serial: Serial;
  atMs: number;
  reason: number;
}

export interface DiskContent {
  signed: SignedFile[];
  requests: { certname: string; pem: string }[];
  inventory: InventoryLine[];
  /** Each serial once, as it was revoked first. */
  revoked: RevokedEntry[];
  /** Above every serial seen anywhere. */
  next: number;
  /** What was odd on the way. */
  notes: Note[];
}

type Tell = (kind: OddityKind, what: string) => void;

/** Reads the content of the directory of `authority`. */
export async function readContent(cadir: string, authority: DiskAuthority): Promise<DiskContent> {
  const layout = caLayout(cadir);
  const notes: Note[] = [];
  const tell: Tell = (kind, what) => notes.push({ kind, what });
  const signed = await readSigned(layout.signed, authority.issuer, tell);
  const requests = await readRequests(layout.requests, tell);
  const inventory = parseInventory(authority.inventory);
  // Old versions of Puppet have a line for the CA itself.
  const ownLine = `/${authority.issuer.certificate.subjectText}`;
  for (const { number, text } of inventory.odd) {
    if (!text.trimEnd().endsWith(ownLine)) tell("line", `${number}: "${printable(text)}"`);
  }
  const revoked = readRevoked(authority.crls[0].entries, tell);
  const serials = [...signed, ...inventory.lines, ...revoked].map(({ serial }) => serial);
  const next = nextAbove(serials, authority.next);
  return { signed, requests, inventory: inventory.lines, revoked, next, notes };
}

/**
 * The first serial that is above all of ours and not below `next`. Foreign long ones can't collide.
 */
function nextAbove(serials: readonly Serial[], next: number): number {
  return serials.reduce((above, serial) => {
    const value = Number.parseInt(serial, 16);
    return value > SERIAL_MAX ? above : Math.max(above, value + 1);
  }, next);
}

/**
 * Each serial that a certificate can have, once: Puppet writes an entry anew each time that a
 * certificate is revoked. `tell`: told of the others.
 */
export function readRevoked(entries: readonly CrlEntry[], tell?: Tell): RevokedEntry[] {
  const bySerial = new Map<Serial, RevokedEntry>();
  for (const { serial: number, timeMs, reason } of entries) {
    if (!isSerial(number)) {
      tell?.("crl-entry", number.toString(16).toUpperCase());
      continue;
    }
    const serial = serialOf(number);
    // What lies before 1950 can't be written again.
    const atMs = Math.max(timeMs, TIME_FIRST_MS);
    if (!bySerial.has(serial)) bySerial.set(serial, { serial, atMs, reason });
  }
  return [...bySerial.values()];
}

async function readSigned(folder: string, issuer: Issuer, tell: Tell): Promise<SignedFile[]> {
  const bySerial = new Map<Serial, SignedFile>();
  await eachPem(folder, { tell, odd: "unreadable" }, (file, text) => {
    const certificate = parseCertificate(text);
    const serial = serialOf(certificate.serial);
    const other = bySerial.get(serial);
    const named = certificate.commonName === file;
    if (!isIssuedBy(certificate, issuer)) {
      tell("foreign", file);
      return;
    }
    if (!named) tell("misnamed", `${file} ("${printable(certificate.subjectText)}")`);
    if (other !== undefined && !other.certificate.der.equals(certificate.der)) {
      tell("serial-twice", `${serial} of ${other.certname} and ${file}`);
    }
    if (other?.named === true) return;
    // A name that isn't one word would break its line in every server's inventory.
    const certname = isWord(certificate.commonName) ? certificate.commonName : file;
    bySerial.set(serial, { certname, named, serial, certificate });
  });
  return [...bySerial.values()].sort((a, b) => (a.certname < b.certname ? -1 : 1));
}

async function readRequests(folder: string, tell: Tell) {
  const requests: { certname: string; pem: string }[] = [];
  await eachPem(folder, { tell, odd: "request" }, (certname, text) => {
    const read = readRequest(text);
    if (!read.ok) tell("request", `${certname}: ${read.because}`);
    else if (read.read.certname !== certname) {
      tell("request", `${certname}: it is for "${printable(read.read.request.subjectText)}"`);
    } else requests.push({ certname, pem: read.read.pem });
  });
  return requests;
}

async function eachPem(
  folder: string,
  { tell, odd }: { tell: Tell; odd: OddityKind },
  take: (certname: string, text: string) => void,
): Promise<void> {
  const names = (await pemNames(folder)).sort();
  await eachAtOnce(names, READS_AT_ONCE, async (name) => {
    try {
      if (!isCertname(name)) throw new Error("its name is no certname");
      take(name, await readFile(join(folder, `${name}.pem`), "utf8"));
    } catch (error) {
      tell(odd, `${printable(name)}: ${printable(messageOf(error))}`);
    }
  });
}

/** Whether an inventory's line can have `name`. */
export function isWord(name: string | undefined): name is string {
  return name !== undefined && /^[\x21-\x7e]{1,255}$/.test(name);
}
