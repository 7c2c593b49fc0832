// Takes into the record what offline tools, or a hand, did in this server's CA directory while the
// daemon was down: certificates issued, a CRL signed. Only ever adds: what is missing in the
// directory may be missing because this server was away. Danger: a CRL that is newer than the
// record's may also mean that the record is an old copy; then nothing is taken in.

import { basename, dirname } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { changedMs, readBytesIfThere, readIfThere } from "../host/files.ts";
import { type Certificate, parseCertificate } from "../x509/certificate.ts";
import { crlPem, parseCrl, parseCrls } from "../x509/crl.ts";
import { isCertname } from "./certname.ts";
import { type Core, readDiskCrl } from "./core.ts";
import { verifyHead } from "./crl-head.ts";
import type { PublishedCrl } from "./crl.ts";
import { issueCrl, REVOKE_AT_ONCE, type NewRevocation } from "./crl-issue.ts";
import { eachAtOnce } from "./directory.ts";
import { pemNames } from "./directory-state.ts";
import { publishedNumber } from "./import-plan.ts";
import { isWord, readRevoked } from "./import-read.ts";
import { serialsIn, takeLines, type InventoryLine } from "./inventory.ts";
import { isIssuedBy } from "./issuer.ts";
import type { Mirror } from "./mirror.ts";
import { replaceParentCrls } from "./parent-crls.ts";
import { inBackground } from "./pieces.ts";
import { certKey, crlKey, encodeValue, nameKey, type CertValue } from "./record.ts";
import { serialOf, type Serial } from "./serial.ts";
import { putAll, type Put } from "./store.ts";

/** Who signed what was found: `signedBy` in the record. */
export const DIRECTORY = "directory";
const READS_AT_ONCE = 16;
/** Passes over what was found while other servers change the same names. */
const PASSES_MAX = 20;
/** CRLs signed in one go while other servers revoke too. */
const CRLS_MAX = 1000;

/** What was found in the directory that the record has never heard of. */
interface Strays {
  /** Certificates of this CA, by the names of their files. */
  certificates: { file: string; certificate: Certificate }[];
  lines: InventoryLine[];
}

/**
 * Takes in certificates among the `unknown` files of signed/, lines of the inventory, and entries
 * of the CRL. Returns whether there were any. What can't be taken in now is logged, and tried again
 * by the next upkeep.
 */
export async function takeIn(core: Core, unknown: readonly string[]): Promise<boolean> {
  let taken = false;
  core.takeInOpen = true;
  try {
    taken = await takeInCertificates(core, unknown);
    taken = (await takeInCrl(core)) || taken;
    core.takeInOpen = false;
  } catch (error) {
    const why = messageOf(error);
    core.deps.log.warn("what was done in the CA directory is not taken in yet", { why });
    if (!(error instanceof Fault)) throw error;
  }
  return taken;
}

/**
 * Whether somebody seems to have worked in the directory since it was last compared, or what he did
 * is still open: quick, as it opens no certificate.
 */
export async function isEdited(core: Core): Promise<boolean> {
  const { directory, mirror, publisher, unknown } = core;
  const { layout } = directory;
  if (core.takeInOpen) return true;
  if (directory.state().behind > 0) return false;
  const { names, requests, certs } = mirror.tables;
  const signed = (name: string) => names.has(name) || unknown.has(layout.signedFile(name));
  if (!(await pemNames(layout.signed)).every(signed)) return true;
  const waiting = (name: string) => requests.has(name) || unknown.has(layout.requestFile(name));
  if (!(await pemNames(layout.requests)).every(waiting)) return true;
  // Moved away, or put right: then nobody needs to look at it any more.
  const now = await stampsOf([...unknown.keys()]);
  if ([...unknown].some(([path, changedAt]) => now.get(path) !== changedAt)) return true;
  const text = (await readIfThere(layout.inventory)) ?? "";
  const there = await inBackground((next) => serialsIn(text, next));
  if ([...there].some((serial) => !certs.has(serial))) return true;
  const crl = await readBytesIfThere(layout.crl);
  const published = publisher.crl();
  return crl === undefined || (published !== undefined && !published.pem.equals(crl));
}

/** When each of these files was changed last; those that are gone are left out. */
export async function stampsOf(paths: readonly string[]): Promise<Map<string, number>> {
  const stamps = new Map<string, number>();
  for (const path of paths) {
    const changedAt = await changedMs(path);
    if (changedAt !== undefined) stamps.set(path, changedAt);
  }
  return stamps;
}

async function takeInCertificates(core: Core, unknown: readonly string[]): Promise<boolean> {
  const { mirror, store, deps } = core;
  const strays = await findStrays(core, unknown);
  const serials = new Set<Serial>();
  for (let pass = 0; pass < PASSES_MAX; pass += 1) {
    const puts = planTakeIn(strays, mirror, isoTime(wallMs()));
    if (puts.length === 0) break;
    // Of those among which another server gave a name meanwhile none is in it yet.
    await putAll(store, puts);
    for (const { key } of puts) if (key.startsWith(certKey(""))) serials.add(basename(key));
  }
  for (const { file, certificate } of sortOut(strays.certificates, mirror.tables).twice) {
    const serial = serialOf(certificate.serial);
    const whose = mirror.tables.certs.get(serial)?.certname ?? "";
    const why = `its serial ${serial} is another certificate's, of ${whose}: it has to ask anew`;
    deps.log.warn(`signed/${file}.pem can't be taken in`, { why });
  }
  if (serials.size === 0) return false;
  const what = { serials: [...serials] };
  deps.log.warn("took in certificates that were issued in the CA directory", what);
  return true;
}

async function findStrays(core: Core, unknown: readonly string[]): Promise<Strays> {
  const { layout } = core.directory;
  const { certs } = core.mirror.tables;
  const certificates: Strays["certificates"] = [];
  const files = unknown.filter((path) => dirname(path) === layout.signed);
  await eachAtOnce(files, READS_AT_ONCE, async (path) => {
    // Another repair may have removed it just now.
    const pem = await readBytesIfThere(path);
    const certificate = pem && readOne(pem);
    if (certificate === undefined || !isIssuedBy(certificate, core.issuer())) return;
    certificates.push({ file: basename(path, ".pem"), certificate });
  });
  const text = (await readIfThere(layout.inventory)) ?? "";
  const lines: InventoryLine[] = [];
  const take = (line: InventoryLine) => {
    if (!certs.has(line.serial)) lines.push(line);
  };
  await inBackground((next) => takeLines(text, next, take));
  return { certificates, lines };
}

function readOne(pem: Buffer): Certificate | undefined {
  try {
    return parseCertificate(pem);
  } catch {
    return undefined;
  }
}

/**
 * Lists what the record is to have of `strays`: a certificate for each serial that it doesn't know,
 * and the name's current one where the name has none. `at`: when, ISO time. Pure.
 */
export function planTakeIn(strays: Strays, { tables }: Mirror, at: string): Put[] {
  const puts = new Map<string, Put>();
  const add = (serial: Serial, value: Omit<CertValue, "signedBy" | "at">) => {
    const key = certKey(serial);
    if (tables.certs.has(serial) || puts.has(key)) return;
    puts.set(key, { key, value: encodeValue({ ...value, signedBy: DIRECTORY, at }), was: 0 });
  };
  const { fit } = sortOut(strays.certificates, tables);
  for (const { file, certificate } of fit) {
    const serial = serialOf(certificate.serial);
    const { commonName, der, notBefore, notAfter } = certificate;
    add(serial, {
      // A name that isn't one word would break its line in every server's inventory.
      certname: [commonName, file].find(isWord) ?? serial,
      der: der.toString("base64"),
      notBefore: isoTime(notBefore),
      notAfter: isoTime(notAfter),
    });
    if (commonName !== file || !isCertname(file) || tables.names.has(file)) continue;
    const key = nameKey(file);
    puts.set(key, { key, value: encodeValue({ serial }), was: tables.names.revisionOf(file) });
  }
  for (const { serial, certname, notBeforeMs, notAfterMs } of strays.lines) {
    const times = { notBefore: isoTime(notBeforeMs), notAfter: isoTime(notAfterMs) };
    add(serial, { certname, der: null, ...times });
  }
  return [...puts.values()];
}

/**
 * Parts certificates from those whose serial is another one's: of one serial the record has one
 * certificate, and a CRL couldn't tell them apart. Stock's tools count past the end of their block
 * when they are asked for very many, and a hand may write any number into the `serial` file.
 */
function sortOut(certificates: Strays["certificates"], { certs }: Mirror["tables"]) {
  const [fit, twice]: [Strays["certificates"], Strays["certificates"]] = [[], []];
  const first = new Map<Serial, Buffer>();
  for (const each of certificates) {
    const { serial: number, der, commonName = each.file } = each.certificate;
    const serial = serialOf(number);
    const row = certs.get(serial);
    const known = row?.der ?? first.get(serial);
    // Of one that only the inventory has told of nothing but the name can be compared.
    const isOther =
      known === undefined ? row !== undefined && row.certname !== commonName : !known.equals(der);
    if (!isOther) first.set(serial, der);
    (isOther ? twice : fit).push(each);
  }
  return { fit, twice };
}

/**
 * Revokes what the CRL on disk has and the record doesn't, and signs one above it where its number
 * is above the record's.
 */
async function takeInCrl(core: Core): Promise<boolean> {
  const there = await readDiskCrl(core.deps, core.issuer());
  let taken = false;
  // The one of before the start first: the record's may have taken its place already.
  for (const found of [core.crlAtStart, there]) {
    if (found === undefined) continue;
    if (await takeInOne(core, found)) taken = true;
    if (await takeInParents(core, found)) taken = true;
  }
  core.crlAtStart = undefined;
  return taken;
}

/** CRLs of the CAs above that somebody put into ca_crl.pem, where they are newer. */
async function takeInParents(core: Core, found: PublishedCrl): Promise<boolean> {
  const { store, publisher, deps } = core;
  const known = store.mirror.tables.authority.get("")?.parentCrls ?? "";
  if (found.pem.equals(Buffer.from(crlPem(found.der) + known))) return false;
  const ours = [found.der, ...parseCrls(known).map(({ der }) => der)];
  const strange = parseCrls(found.pem).filter(({ der }) => !ours.some((own) => own.equals(der)));
  if (strange.length === 0) return false;
  const submitted = strange.map(({ der }) => crlPem(der)).join("");
  const { outcome, touched } = await replaceParentCrls(store, submitted);
  const of = strange.map(({ issuerText }) => issuerText);
  if (!outcome.ok) {
    const why = outcome.because;
    deps.log.warn("CRLs in the CA directory's ca_crl.pem can't be taken in", { of, why });
  }
  if (touched === undefined) return false;
  await publisher.publish(touched);
  deps.log.warn("took in CRLs of CAs above that were put into the CA directory", { of });
  return true;
}

/** Throws Fault `x509.unsupported` for a number that nobody could count on from. */
async function takeInOne(core: Core, found: PublishedCrl): Promise<boolean> {
  const { deps, publisher, store } = core;
  const { crlHead, revoked, certs } = store.mirror.tables;
  publishedNumber({ crls: [parseCrl(found.der)] });
  const isAhead = found.number > (crlHead.get("")?.number ?? 0);
  if (isAhead && !(await isForeign(core, found.number))) return false;
  if (isAhead) core.foreignCrl = found.number;
  const entries = readRevoked(parseCrl(found.der).entries);
  for (let pass = 0; pass < CRLS_MAX; pass += 1) {
    const missing = entries.flatMap(({ serial, atMs, reason }): NewRevocation[] => {
      if (revoked.has(serial)) return [];
      const cert = certs.get(serial);
      const certname = cert?.certname ?? null;
      return [{ serial, certname, notAfterMs: cert?.notAfterMs, reason, atMs }];
    });
    const newest = crlHead.get("")?.number ?? 0;
    if (missing.length === 0 && newest >= found.number) return pass > 0;
    const head = await verifyHead(store);
    const number = Math.max(head.number, found.number) + 1;
    const revoke = missing.slice(0, REVOKE_AT_ONCE);
    const done = await issueCrl(core.signer(), { head, number, revoke });
    if (!done.ok) continue;
    await publisher.publish(done.touched);
    const serials = revoke.map(({ serial }) => serial);
    const what = { found: found.number, signed: number, revoked: serials };
    deps.log.warn("took in a CRL that was signed in the CA directory", what);
  }
  throw new Fault("ca.busy", `other servers revoked ${CRLS_MAX} times in between`);
}

/**
 * Whether this server's own copy of the record, which has every CRL that was ever published here,
 * knows nothing of this number. Without a copy nobody can say.
 */
async function isForeign({ deps }: Core, number: number): Promise<boolean> {
  let isThere = false;
  for await (const { key } of deps.copy?.replay() ?? []) {
    if (key === crlKey(number)) return false;
    isThere = true;
  }
  return isThere;
}
