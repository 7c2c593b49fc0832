// Reads what a CA directory holds besides its main files: signed/, requests/, the inventory's
// lines. One bad file never hides the others: it is left out and reported.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import { parseCertificate, type Certificate } from "../x509/certificate.ts";
import { isCertname } from "./certname.ts";
import { eachAtOnce } from "./directory.ts";
import { pemNames, type DiskAuthority } from "./directory-state.ts";
import { parseInventory, type InventoryLine } from "./inventory.ts";
import { isIssuedBy, type Issuer } from "./issuer.ts";
import { caLayout } from "./layout.ts";
import { readRequest } from "./policy.ts";
import { SERIAL_MAX, serialOf, type Serial } from "./serial.ts";

const READS_AT_ONCE = 16;
/** Oddities told in full; more are counted. */
const ODD_MAX = 1000;

export interface SignedFile {
  /** The certificate's own name; the file's may be another one. */
  certname: string;
  /** Whether the file is named for it, so that it is the name's current certificate. */
  named: boolean;
  serial: Serial;
  certificate: Certificate;
}

export interface DiskContent {
  signed: SignedFile[];
  requests: { certname: string; pem: string }[];
  inventory: InventoryLine[];
  /** Above every serial seen anywhere. */
  next: number;
  odd: string[];
}

/** Reads the content of the directory of `authority`. */
export async function readContent(cadir: string, authority: DiskAuthority): Promise<DiskContent> {
  const layout = caLayout(cadir);
  const odd: string[] = [];
  const note = (text: string) => {
    if (odd.length < ODD_MAX) odd.push(text);
  };
  const signed = await readSigned(layout.signed, authority.issuer, note);
  const requests = await readRequests(layout.requests, note);
  const inventory = parseInventory(authority.inventory);
  for (const { number, text } of inventory.odd) note(`inventory.txt, line ${number}: "${text}"`);
  const serials = [
    ...signed.map(({ serial }) => serial),
    ...inventory.lines.map(({ serial }) => serial),
    ...authority.crls[0].entries.map((entry) => serialOf(entry.serial)),
  ];
  const next = nextAbove(serials, authority.next, note);
  return { signed, requests, inventory: inventory.lines, next, odd };
}

/**
 * The first serial that is above all of ours and not below `next`. Foreign long ones can't collide.
 */
export function nextAbove(
  serials: readonly Serial[],
  next: number,
  note: (text: string) => void,
): number {
  let above = next;
  let long = 0;
  for (const serial of serials) {
    const value = Number.parseInt(serial, 16);
    if (value > SERIAL_MAX) long += 1;
    else above = Math.max(above, value + 1);
  }
  if (long > 0) note(`${long} serials are above ${SERIAL_MAX}: Puppet's CA did not issue those`);
  return above;
}

async function readSigned(
  folder: string,
  issuer: Issuer,
  note: (text: string) => void,
): Promise<SignedFile[]> {
  const bySerial = new Map<Serial, SignedFile>();
  await eachPem(folder, note, (file, text) => {
    const certificate = parseCertificate(text);
    const serial = serialOf(certificate.serial);
    const other = bySerial.get(serial);
    const named = certificate.commonName === file;
    if (!isIssuedBy(certificate, issuer)) {
      note(`signed/${file}.pem is not from this CA`);
      return;
    }
    if (!named) note(`signed/${file}.pem is for "${certificate.subjectText}"`);
    if (other !== undefined && !other.certificate.der.equals(certificate.der)) {
      note(`signed/${file}.pem has serial ${serial}, and so has ${other.certname}'s certificate`);
    }
    if (other?.named === true) return;
    const certname = certificate.commonName ?? file;
    bySerial.set(serial, { certname, named, serial, certificate });
  });
  return [...bySerial.values()].sort((a, b) => (a.certname < b.certname ? -1 : 1));
}

async function readRequests(folder: string, note: (text: string) => void) {
  const requests: { certname: string; pem: string }[] = [];
  await eachPem(folder, note, (certname, text) => {
    const read = readRequest(text);
    if (!read.ok) note(`requests/${certname}.pem: ${read.because}`);
    else if (read.read.certname !== certname) {
      note(`requests/${certname}.pem is for "${read.read.request.subjectText}"`);
    } else requests.push({ certname, pem: read.read.pem });
  });
  return requests;
}

async function eachPem(
  folder: string,
  note: (text: string) => void,
  take: (certname: string, text: string) => void,
): Promise<void> {
  const names = (await pemNames(folder)).sort();
  await eachAtOnce(names, READS_AT_ONCE, async (name) => {
    try {
      if (!isCertname(name)) throw new Error("its name is no certname");
      take(name, await readFile(join(folder, `${name}.pem`), "utf8"));
    } catch (error) {
      note(`${join(folder, `${name}.pem`)}: ${messageOf(error)}`);
    }
  });
}
