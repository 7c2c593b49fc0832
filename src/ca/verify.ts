// Looks at everything that this server's authority has, in memory and in the CA directory, and
// lists what isn't as it must be. Changes nothing. A hundred thousand signatures take seconds, so
// the work is done in pieces and the daemon goes on meanwhile.

import { readFile } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { messageOf } from "../base/fault.ts";
import { wallMs } from "../host/clock.ts";
import { readIfThere } from "../host/files.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { parseCrl, verifyCrl } from "../x509/crl.ts";
import { matches, readPrivateKey } from "../x509/keys.ts";
import type { Core } from "./core.ts";
import { countEntries, type PublishedCrl, rebuildCrl } from "./crl.ts";
import { crlOf } from "./crl-head.ts";
import { parseInventory } from "./inventory.ts";
import { isIssuedBy, type Issuer } from "./issuer.ts";
import { reconcile } from "./reconcile.ts";
import type { Mirror } from "./mirror.ts";
import { isUnreachable } from "./store.ts";
import { planRepair } from "./repair.ts";
import { serialOf } from "./serial.ts";
import type { BlockRow, CertRow } from "./tables.ts";
import { DIRECTORY } from "./take-in.ts";

/** Certificates checked in one piece: a signature takes a tenth of a millisecond. */
const CHECKS_AT_ONCE = 100;
/** Findings that are listed; more are counted. */
const FINDINGS_MAX = 1000;

export interface Finding {
  /** A certname, a serial, a file, a key of the record. */
  what: string;
  because: string;
}

export interface Verified {
  certificates: number;
  names: number;
  requests: number;
  revocations: number;
  crlNumber: number;
  /** Whether etcd was read for it; else what this server had in memory was checked. */
  fresh: boolean;
  findings: Finding[];
  /** How many there are in all. */
  found: number;
}

/** Checks all of it. Throws only for what keeps it from being checked at all. */
export async function verifyAuthority(core: Core): Promise<Verified> {
  const { mirror, publisher } = core;
  const findings: Finding[] = [];
  let fresh = core.loaded;
  try {
    if (core.loaded) await reconcile(core);
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    fresh = false;
  }
  const issuer = core.issuer();
  const blocks = [...mirror.tables.blocks.rows()];
  let checked = 0;
  for (const row of mirror.tables.certs.rows()) {
    findings.push(...checkCertificate(row, blocks, issuer));
    checked += 1;
    if (checked % CHECKS_AT_ONCE === 0) await setImmediate();
  }
  findings.push(...checkNames(mirror));
  for (const [key, because] of mirror.unreadable) findings.push({ what: key, because });
  findings.push(...(await findLasting(core, issuer)));
  const { certs, names, requests, revoked } = mirror.tables;
  return {
    certificates: certs.size,
    names: names.size,
    requests: requests.size,
    revocations: revoked.size,
    crlNumber: publisher.crl()?.number ?? 0,
    fresh,
    findings: findings.slice(0, FINDINGS_MAX),
    found: findings.length,
  };
}

/** What is wrong with a certificate of the record; `blocks`: serials that members reserved. */
function checkCertificate(
  { serial, certname, der, signedBy }: CertRow,
  blocks: readonly BlockRow[],
  issuer: Issuer,
): Finding[] {
  const found = (because: string) => [{ what: `${certname}, serial ${serial}`, because }];
  const value = Number.parseInt(serial, 16);
  const isReserved = () =>
    blocks.some(({ from, to, member }) => member === signedBy && value >= from && value <= to);
  const isMembers = signedBy !== "import" && signedBy !== DIRECTORY;
  if (isMembers && !isReserved()) return found(`${signedBy} had not reserved this serial`);
  // Of many an old CA only the inventory is left.
  if (der === undefined) return [];
  try {
    const certificate = parseCertificate(der);
    if (serialOf(certificate.serial) !== serial) return found("the certificate has another serial");
    if (!isIssuedBy(certificate, issuer)) return found("this CA has not signed it");
    const { commonName } = certificate;
    return commonName === certname ? [] : found(`the certificate is for "${commonName ?? ""}"`);
  } catch (error) {
    return found(messageOf(error));
  }
}

/** What is wrong with the CRL and the directory at two looks: what is being written is so at one. */
async function findLasting(core: Core, issuer: Issuer): Promise<Finding[]> {
  const look = async () => [
    ...checkCrl(core, issuer, wallMs()),
    ...(await checkDirectory(core, issuer)),
  ];
  const first = await look();
  if (first.length === 0) return [];
  await core.directory.caughtUp();
  const textOf = ({ what, because }: Finding) => `${what}\n${because}`;
  const then = new Set((await look()).map(textOf));
  return first.filter((finding) => then.has(textOf(finding)));
}

function checkNames({ tables }: Mirror): Finding[] {
  return [...tables.names.names()].flatMap((what) => {
    const serial = tables.names.get(what)?.serial ?? "";
    const row = tables.certs.get(serial);
    if (row === undefined) return [{ what, because: `its certificate ${serial} is not there` }];
    if (row.certname === what) return [];
    return [{ what, because: `its certificate ${serial} is ${row.certname}'s` }];
  });
}

function checkCrl({ publisher, mirror }: Core, issuer: Issuer, nowMs: number): Finding[] {
  const crl = publisher.crl();
  if (crl === undefined) return [{ what: "CRL", because: "none is published here" }];
  const found = (because: string): Finding => ({ what: `CRL ${crl.number}`, because });
  const findings: Finding[] = [];
  const head = mirror.tables.crlHead.get("")?.number ?? 0;
  const differs =
    head === crl.number ? compareRecord(crl, mirror, issuer) : `the record's newest is ${head}`;
  if (differs !== undefined) findings.push(found(differs));
  const alarm = publisher.alarm();
  if (alarm !== undefined) findings.push(found(alarm));
  if (!verifyCrl(parseCrl(crl.der), issuer.publicKey)) {
    findings.push(found("this CA has not signed it"));
  }
  if (crl.nextUpdateMs < nowMs) findings.push(found("it has ended: agents refuse every server"));
  return findings;
}

/** Why the record doesn't describe the CRL, so that no server can rebuild it. */
function compareRecord(crl: PublishedCrl, mirror: Mirror, issuer: Issuer): string | undefined {
  const anew = "understudy ca crl refresh signs the next one";
  const value = crlOf(mirror, crl.number);
  if (value === undefined) return `the record lacks it: ${anew}`;
  const there = countEntries(value, mirror.revocations());
  if (there !== crl.count) {
    return `it has ${crl.count} entries, and the record ${there}: ${anew}`;
  }
  try {
    const { der } = rebuildCrl(issuer, value, mirror.revocations(), "");
    if (der.equals(crl.der)) return undefined;
  } catch {
    // Then it is another one, too.
  }
  return `the record describes another one: ${anew}`;
}

async function checkDirectory(core: Core, issuer: Issuer): Promise<Finding[]> {
  const { mirror, directory, publisher, deps } = core;
  const { layout } = directory;
  const { why } = directory.state();
  const findings: Finding[] = why === undefined ? [] : [{ what: layout.folder, because: why }];
  const { jobs, unknown } = await planRepair(mirror, directory, issuer, core.key.peek());
  for (const job of jobs) {
    if (job.do === "file")
      findings.push({ what: job.path, because: "is missing, or isn't the record's" });
  }
  for (const path of unknown) findings.push({ what: path, because: "is unknown to the record" });
  const { lines, odd } = parseInventory((await readIfThere(layout.inventory)) ?? "");
  const there = new Set(lines.map(({ serial }) => serial));
  for (const { serial, certname } of mirror.tables.certs.rows()) {
    const because = `has no line for ${certname}, serial ${serial}`;
    if (!there.has(serial)) findings.push({ what: layout.inventory, because });
  }
  for (const { serial, certname } of lines) {
    const because = `${certname}, serial ${serial}, is unknown to the record`;
    if (!mirror.tables.certs.has(serial)) findings.push({ what: layout.inventory, because });
  }
  for (const { number } of odd) {
    findings.push({ what: layout.inventory, because: `line ${number} can't be understood` });
  }
  findings.push(...(await checkKey(layout.key, issuer)));
  const published = publisher.crl();
  for (const path of [layout.crl, deps.hostCrlPath]) {
    if (path === undefined || published === undefined) continue;
    const text = await readIfThere(path);
    if (text === published.pem.toString("utf8")) continue;
    // puppetserver's own copy is there only where Puppet has an ssl folder.
    if (text === undefined && path !== layout.crl) continue;
    findings.push({ what: path, because: `is not the published CRL ${published.number}` });
  }
  return findings;
}

/** The daemon holds the key in memory: that the file is gone shows only when it starts anew. */
async function checkKey(path: string, issuer: Issuer): Promise<Finding[]> {
  let why = "it is another CA's key";
  try {
    const key = readPrivateKey(await readFile(path));
    if (matches(key, issuer.certificate.spkiDer)) return [];
  } catch (error) {
    why = messageOf(error);
  }
  const because = `this server signs nothing once its daemon starts anew: ${why}`;
  return [{ what: path, because }];
}
