// Large CA directories in stock's layout, as a fleet of years leaves them behind: made once with
// our own X.509 code, kept as a tar below .cache/. All agents' certificates are for one RSA 4096
// key, since making keys is what would take time; a CA looks at none of that.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createAuthority } from "../../src/ca/create.ts";
import { eachAtOnce } from "../../src/ca/directory.ts";
import type { DiskAuthority } from "../../src/ca/directory-state.ts";
import { type InventoryLine, renderInventoryLine } from "../../src/ca/inventory.ts";
import { caLayout } from "../../src/ca/layout.ts";
import { agentExtensions, BACKDATE_MS } from "../../src/ca/profile.ts";
import { renderSerialFile, serialOf } from "../../src/ca/serial.ts";
import { wallMs } from "../../src/host/clock.ts";
import { run } from "../../src/host/process.ts";
import { certificatePem, createCertificateAsync } from "../../src/x509/certificate.ts";
import { createCrlAsync, crlPem } from "../../src/x509/crl.ts";
import { exportPkcs8, generateRsaKey, spkiOf } from "../../src/x509/keys.ts";
import { nameOf } from "../../src/x509/name.ts";
import type { LabHost } from "../../lab/host.ts";

/** Part of the cache's name: another number when another content is to be made. */
const EDITION = 1;
const CACHE = join(import.meta.dirname, "..", "..", ".cache", "bench");
const CADIR = "/etc/puppet/puppetserver/ca";
const KEY_COMPROMISE = 1;
/** Node signs on four threads. */
const SIGN_AT_ONCE = 8;
const TAR_MS_MAX = 120_000;
const LIFE_MS = 5 * 365 * 24 * 3600 * 1000;
/** The first serial that the CA gives; it has given itself the ones before. */
const FIRST_SERIAL = 3;

export interface FleetPlan {
  /** Certificates whose files are there. */
  certificates: number;
  /** Revocations in the CRL. */
  revoked: number;
  /** Whether the revoked ones' files are gone; else they are the last of `certificates`. */
  cleaned: boolean;
  /** Of the CA's RSA key. */
  keyBits: number;
}

/** A CA directory that was made. */
export interface Fleet {
  tar: string;
  /** PEM: the key of all agents. */
  key: string;
}

/** One certificate of a fleet, on paper. */
export interface Planned {
  serial: number;
  certname: string;
  revoked: boolean;
  /** Whether its file is in signed/. */
  kept: boolean;
}

/** Every certificate of a fleet, by serial. Pure. */
export function planFleet({ certificates, revoked, cleaned }: FleetPlan): Planned[] {
  const total = cleaned ? certificates + revoked : certificates;
  return Array.from({ length: total }, (_, index) => {
    const isRevoked = index >= total - revoked;
    const kept = !cleaned || !isRevoked;
    return {
      serial: FIRST_SERIAL + index,
      certname: fleetName(index + 1),
      revoked: isRevoked,
      kept,
    };
  });
}

/** The certname of the agent with this number, from 1. The lowest ones are in force. */
export function fleetName(number: number): string {
  return `n${`${number}`.padStart(6, "0")}.fleet.lab.test`;
}

/** The CA directory of `plan`, made if it isn't there yet. */
export async function ensureFleet(plan: FleetPlan, say: (line: string) => void): Promise<Fleet> {
  const hash = createHash("sha256")
    .update(JSON.stringify([EDITION, plan]))
    .digest("hex");
  const folder = join(CACHE, `fleet-${hash.slice(0, 12)}`);
  const tar = join(folder, "ca.tar");
  const keyFile = join(folder, "agents.key");
  if (!existsSync(folder)) {
    say(`making a CA directory of ${plan.certificates} certificates, once for all runs`);
    const work = `${folder}.making.${process.pid}`;
    try {
      await mkdir(work, { recursive: true });
      const agents = await generateRsaKey();
      await makeDirectory(join(work, "ca"), plan, spkiOf(agents));
      const argv = ["tar", "-cf", join(work, "ca.tar"), "-C", join(work, "ca"), "."];
      await run(argv, { withinMs: TAR_MS_MAX });
      await rm(join(work, "ca"), { recursive: true });
      await writeFile(join(work, "agents.key"), exportPkcs8(agents), { mode: 0o600 });
      await rename(work, folder);
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  }
  return { tar, key: await readFile(keyFile, "utf8") };
}

/** Makes `fleet` the CA directory of a server that has none. */
export async function placeFleet(server: LabHost, fleet: Fleet): Promise<void> {
  const inside = await server.copyIn(fleet.tar);
  const script = `mkdir -p ${CADIR} && tar -xf '${inside}' -C ${CADIR} && rm '${inside}' &&
    chown -R puppet:puppet ${CADIR}`;
  await server.run(script, { withinMs: TAR_MS_MAX });
}

/** The file of a name's certificate on a server. */
export function signedFile(certname: string): string {
  return caLayout(CADIR).signedFile(certname);
}

/** Writes the directory of `plan`; all its agents have the key of `spkiDer`. */
export async function makeDirectory(
  cadir: string,
  plan: FleetPlan,
  spkiDer: Buffer,
): Promise<void> {
  const caName = "Puppet CA: s1.lab.test";
  const { authority } = await createAuthority({ cadir, caName, keyBits: plan.keyBits });
  const layout = caLayout(cadir);
  const planned = planFleet(plan);
  const from = Math.floor(wallMs() / 1000) * 1000 - BACKDATE_MS;
  const times = { notBeforeMs: from, notAfterMs: from + LIFE_MS };
  const kept = planned.filter((one) => one.kept);
  await eachAtOnce(kept, SIGN_AT_ONCE, async ({ serial, certname }) => {
    const der = await sign(authority, { serial, certname, spkiDer, ...times });
    await writeFile(layout.signedFile(certname), certificatePem(der));
  });
  const lines = planned.map(({ serial, certname }): InventoryLine => {
    return { serial: serialOf(serial), certname, ...times };
  });
  await writeFile(layout.inventory, lines.map(renderInventoryLine).join(""));
  await writeFile(layout.crl, await makeCrls(authority, planned, from));
  await writeFile(layout.serial, renderSerialFile(FIRST_SERIAL + planned.length));
}

interface Wish {
  serial: number;
  certname: string;
  spkiDer: Buffer;
  notBeforeMs: number;
  notAfterMs: number;
}

function sign({ issuer, key }: DiskAuthority, wish: Wish): Promise<Buffer> {
  const { serial, certname, ...rest } = wish;
  const subject = { certname, spkiDer: wish.spkiDer, altNames: [], altNamesCritical: false };
  return createCertificateAsync({
    ...rest,
    serial: BigInt(serial),
    issuerDer: issuer.certificate.subjectDer,
    subjectDer: nameOf({ commonName: certname }),
    extensions: agentExtensions(issuer, { ...subject, extensions: [] }),
    signingKey: key,
  });
}

/** The CA's own list with the revoked ones on it, then its parents' as they are. */
async function makeCrls(
  { issuer, key, crls }: DiskAuthority,
  planned: readonly Planned[],
  timeMs: number,
): Promise<string> {
  const { der } = await createCrlAsync({
    issuerDer: issuer.certificate.subjectDer,
    authorityKeyId: issuer.keyId,
    number: 1,
    thisUpdateMs: timeMs,
    nextUpdateMs: timeMs + LIFE_MS,
    entries: planned
      .filter(({ revoked }) => revoked)
      .map(({ serial }) => ({ serial: BigInt(serial), timeMs, reason: KEY_COMPROMISE })),
    signingKey: key,
  });
  return [der, ...crls.slice(1).map((crl) => crl.der)].map(crlPem).join("");
}
