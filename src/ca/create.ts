// A new certificate authority, laid out as `puppetserver ca setup` does: a root, an intermediate
// that issues, a CRL of each. Written beside its place and renamed into it, so that it is there
// whole or not at all, however often this is interrupted and run again.

import { randomBytes, type KeyObject } from "node:crypto";
import { Fault } from "../base/fault.ts";
import { exists, makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import { wallMs } from "../host/clock.ts";
import { certificatePem, createCertificateAsync } from "../x509/certificate.ts";
import { createCrlAsync, crlPem } from "../x509/crl.ts";
import {
  authorityKeyIdentifier,
  basicConstraints,
  keyUsage,
  netscapeComment,
  subjectKeyIdentifier,
} from "../x509/extensions.ts";
import {
  exportPkcs1,
  exportSpki,
  generateRsaKey,
  keyIdOf,
  matches,
  readPrivateKey,
  spkiOf,
} from "../x509/keys.ts";
import { nameOf } from "../x509/name.ts";
import { partialFault, readAuthority, type DiskAuthority } from "./directory-state.ts";
import { caLayout, FILE_MODE, FOLDER_MODE, KEY_MODE, type CaLayout } from "./layout.ts";
import { placeAuthority, resolveFolder } from "./place.ts";
import { renderSerialFile } from "./serial.ts";
import { BACKDATE_MS } from "./profile.ts";

/** How long a new CA lasts, as the CLI has it: 15 years of 365 days. */
const CA_TTL_SECONDS = 15 * 31_536_000;
const KEY_BITS = 4096;

export interface CreateOptions {
  /** The CA directory; its parent must exist. */
  cadir: string;
  /** Common name of the issuing CA: `Puppet CA: <certname>`. */
  caName: string;
  /** Default 4096. */
  keyBits?: number;
  /** Default 15 years. */
  ttlSeconds?: number;
  owner?: { uid: number; gid: number };
}

/**
 * Writes a new authority into `cadir`, or leaves alone the whole one that is there.
 * Throws Fault `ca.directory-partial` when half of one is there.
 */
export async function createAuthority(
  options: CreateOptions,
): Promise<{ created: boolean; authority: DiskAuthority }> {
  const folder = await resolveFolder(options.cadir);
  const found = await readAuthority(folder);
  if (found.state === "partial") throw partialFault(folder, found.problems);
  if (found.state === "complete") return { created: false, authority: found };
  const made = await placeAuthority(folder, async (fresh) => writeNew(fresh, options));
  return { created: true, authority: made };
}

/**
 * Puts the CA's key into `cadir` on a server that joins; the record brings the rest.
 * Throws Fault `ca.other-key` when another CA's key is there: that CA may be in use.
 */
export async function writeAuthorityKey(options: {
  cadir: string;
  keyPem: string;
  owner?: { uid: number; gid: number };
}): Promise<void> {
  const layout = caLayout(await resolveFolder(options.cadir));
  const owned = options.owner === undefined ? {} : { owner: options.owner };
  const key = readPrivateKey(options.keyPem);
  const there = await readIfThere(layout.key);
  if (there !== undefined && !matches(readPrivateKey(there), spkiOf(key))) {
    throw new Fault("ca.other-key", `${layout.key} is the key of another certificate authority`, {
      hints: [
        "It was not replaced. Move that CA directory away if it is not needed, then try again.",
      ],
    });
  }
  for (const folder of [layout.folder, layout.signed, layout.requests]) {
    if (!(await exists(folder))) await makeFolder(folder, { mode: FOLDER_MODE, ...owned });
  }
  if (there === undefined) {
    await writeFileAtomic(layout.key, exportPkcs1(key), { mode: KEY_MODE, ...owned });
  }
}

async function writeNew(layout: CaLayout, options: CreateOptions): Promise<void> {
  const owned = options.owner === undefined ? {} : { owner: options.owner };
  for (const folder of [layout.folder, layout.signed, layout.requests]) {
    await makeFolder(folder, { mode: FOLDER_MODE, ...owned });
  }
  const chain = await makeChain(options);
  const files: [string, string, number][] = [
    [layout.bundle, chain.bundle, FILE_MODE],
    [layout.crl, chain.crls, FILE_MODE],
    [layout.key, exportPkcs1(chain.key), KEY_MODE],
    [layout.publicKey, exportSpki(chain.key), FILE_MODE],
    [layout.rootKey, exportPkcs1(chain.rootKey), KEY_MODE],
    [layout.serial, renderSerialFile(1), FILE_MODE],
    [layout.inventory, "", FILE_MODE],
    [layout.infraInventory, "\n", FILE_MODE],
    [layout.infraSerials, "\n", FILE_MODE],
  ];
  for (const [path, text, mode] of files) await writeFileAtomic(path, text, { mode, ...owned });
}

async function makeChain(options: CreateOptions) {
  const { caName, keyBits = KEY_BITS, ttlSeconds = CA_TTL_SECONDS } = options;
  const [rootKey, key] = await Promise.all([generateRsaKey(keyBits), generateRsaKey(keyBits)]);
  const rootName = nameOf({ commonName: `Puppet Root CA: ${randomBytes(7).toString("hex")}` });
  const now = wallMs();
  const times = { notBeforeMs: now - BACKDATE_MS, notAfterMs: now + ttlSeconds * 1000 };
  const make = (serial: bigint, subjectDer: Buffer, of: KeyObject) =>
    createCertificateAsync({
      serial,
      subjectDer,
      issuerDer: rootName,
      spkiDer: spkiOf(of),
      ...times,
      signingKey: rootKey,
      extensions: [
        basicConstraints({ ca: true }),
        keyUsage(["keyCertSign", "cRLSign"]),
        subjectKeyIdentifier(spkiOf(of)),
        netscapeComment(),
        authorityKeyIdentifier({ keyId: keyIdOf(spkiOf(rootKey)) }),
      ],
    });
  const emptyCrl = (issuerDer: Buffer, signingKey: KeyObject) =>
    createCrlAsync({
      issuerDer,
      signingKey,
      number: 0,
      entries: [],
      authorityKeyId: keyIdOf(spkiOf(signingKey)),
      thisUpdateMs: times.notBeforeMs,
      nextUpdateMs: times.notAfterMs,
    });
  const name = nameOf({ commonName: caName });
  const certificates = [await make(2n, name, key), await make(1n, rootName, rootKey)];
  const crls = [await emptyCrl(name, key), await emptyCrl(rootName, rootKey)];
  return {
    key,
    rootKey,
    bundle: certificates.map(certificatePem).join(""),
    crls: crls.map(({ der }) => crlPem(der)).join(""),
  };
}
