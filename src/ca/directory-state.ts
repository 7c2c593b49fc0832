// What a CA directory on disk holds: nothing, a whole authority, or one that has something wrong
// with it. Reads only. Danger: a wrong "absent" would have a new CA written over an old one.

import type { KeyObject } from "node:crypto";
import { readdir } from "node:fs/promises";
import { Fault, messageOf } from "../base/fault.ts";
import { isMissing, readBytesIfThere } from "../host/files.ts";
import { parseCrls, verifyCrl, type Crl } from "../x509/crl.ts";
import { describe, matches, readPrivateKey } from "../x509/keys.ts";
import { isSameName } from "../x509/name.ts";
import { readIssuer, type Issuer } from "./issuer.ts";
import { caLayout, type CaLayout } from "./layout.ts";
import { parseSerialFile } from "./serial.ts";

/** A whole authority as it is on disk. */
export interface DiskAuthority {
  state: "complete";
  issuer: Issuer;
  key: KeyObject;
  crlPem: Buffer;
  /** Ours first, whatever its place in the file. */
  crls: [Crl, ...Crl[]];
  /** The next serial, as the `serial` file says. */
  next: number;
  inventory: string;
}

export type Inspection = { state: "absent" } | Judged;

/** `missing`: files that aren't there, in words; they are among the problems. */
type Judged = { state: "partial"; problems: string[]; missing: string[] } | DiskAuthority;

/** Files of every CA directory that is whole. */
const MAIN_FILES = 5;

/** Looks at the CA directory `folder`. */
export async function readAuthority(folder: string): Promise<Inspection> {
  const judged = await judgeAuthority(caLayout(folder), readBytesIfThere);
  const nothing = judged.state === "partial" && judged.missing.length === MAIN_FILES;
  return nothing && (await leftovers(folder)).length === 0 ? { state: "absent" } : judged;
}

/** Whether what `bytesOf` has at the places of `layout` is a whole authority; else what it lacks. */
export async function judgeAuthority(
  layout: CaLayout,
  bytesOf: (path: string) => Promise<Buffer | undefined>,
): Promise<Judged> {
  const problems: string[] = [];
  const missing: string[] = [];
  const read = async <T>(path: string, parse: (bytes: Buffer) => T): Promise<T | undefined> => {
    try {
      const bytes = await bytesOf(path);
      if (bytes !== undefined) return parse(bytes);
      missing.push(`${path} is missing`);
    } catch (error) {
      problems.push(`${path}: ${messageOf(error)}`);
    }
    return undefined;
  };
  const issuer = await read(layout.bundle, readIssuer);
  const key = await read(layout.key, readPrivateKey);
  const crlFile = await read(layout.crl, (bytes) => ({ pem: bytes, crls: parseCrls(bytes) }));
  const next = await read(layout.serial, readNext);
  const inventory = await read(layout.inventory, (bytes) => bytes.toString("utf8"));

  if (issuer && key && !matches(key, issuer.certificate.spkiDer)) {
    problems.push(`${layout.key} is not the key of the first certificate in ${layout.bundle}`);
  }
  if (key !== undefined && key.asymmetricKeyType !== "rsa") {
    const found = `${layout.key} is a key of type ${describe(key)}`;
    problems.push(`${found}: Puppet's CA signs with RSA only`);
  }
  const crls = issuer && crlFile ? ownFirst(crlFile.crls, issuer) : undefined;
  if (crls === undefined && issuer && crlFile) {
    problems.push(`${layout.crl} has no CRL that the first certificate in ${layout.bundle} signed`);
  }
  const whole = issuer && key && crlFile && crls && next !== undefined && inventory !== undefined;
  if (!whole || problems.length > 0 || missing.length > 0) {
    return { state: "partial", problems: [...missing, ...problems], missing };
  }
  return { state: "complete", issuer, key, crlPem: crlFile.pem, crls, next, inventory };
}

/** The Fault for a directory that is only half there: nothing is touched then. */
export function partialFault(folder: string, problems: readonly string[]): Fault {
  return new Fault(
    "ca.directory-partial",
    `the CA directory ${folder} is neither whole nor empty: nothing was changed`,
    {
      hints: [
        ...problems,
        "Restore what is missing from a backup. Moved away, a new CA is made instead: every agent must then enrol anew.",
      ],
    },
  );
}

/** Names of the .pem files in `folder`, without their ending; none when there is no such folder. */
export async function pemNames(folder: string): Promise<string[]> {
  try {
    const names = await readdir(folder);
    return names.filter((name) => name.endsWith(".pem") && !name.startsWith(".")).map(stem);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** What would be lost with the directory although the main files are gone. */
async function leftovers(folder: string): Promise<string[]> {
  const { signed, requests } = caLayout(folder);
  const [certificates, waiting] = [await pemNames(signed), await pemNames(requests)];
  return [...certificates, ...waiting];
}

function ownFirst(crls: readonly Crl[], issuer: Issuer): [Crl, ...Crl[]] | undefined {
  const own = crls.find(
    (crl) =>
      isSameName(crl.issuerDer, issuer.certificate.subjectDer) && verifyCrl(crl, issuer.publicKey),
  );
  return own && [own, ...crls.filter((crl) => crl !== own)];
}

function readNext(bytes: Buffer): number {
  const next = parseSerialFile(bytes.toString("latin1"));
  if (next === undefined) {
    throw new Fault("ca.serial", `"${bytes.toString("latin1").slice(0, 40)}" is no serial number`);
  }
  return next;
}

function stem(name: string): string {
  return name.slice(0, -".pem".length);
}
