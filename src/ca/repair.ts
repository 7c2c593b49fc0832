// Brings the CA directory back in step with the record after a time away: writes what is missing or
// differs, removes what the record says is gone, and reports what it has never heard of.

import { readFile } from "node:fs/promises";
import type { KeyObject } from "node:crypto";
import { messageOf } from "../base/fault.ts";
import { compareFileSync } from "../host/compare-file.ts";
import { isMissing, readIfThere } from "../host/files.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { exportSpki } from "../x509/keys.ts";
import { parseRequest } from "../x509/request.ts";
import type { CaDirectory } from "./directory.ts";
import {
  currentPem,
  fileJob,
  inventoryLine,
  requestJob,
  signedJob,
  type DirectoryJob,
} from "./directory-jobs.ts";
import { pemNames } from "./directory-state.ts";
import { type InventoryLine, serialsIn } from "./inventory.ts";
import type { Issuer } from "./issuer.ts";
import type { Mirror } from "./mirror.ts";
import { inBackground } from "./pieces.ts";
import { serialOf } from "./serial.ts";

export interface Repair {
  jobs: DirectoryJob[];
  /** Files that neither the record nor an earlier state of it accounts for. */
  unknown: string[];
}

/** Compares the directory with the record; changes nothing. `onFile` is called for each file. */
export async function planRepair(
  mirror: Mirror,
  { layout }: CaDirectory,
  issuer: Issuer,
  key: KeyObject | undefined,
  onFile?: () => void,
): Promise<Repair> {
  const { tables } = mirror;
  const jobs: DirectoryJob[] = [];
  const unknown: string[] = [];
  const readIf = async (path: string) => {
    onFile?.();
    return readBytes(path);
  };
  const want = async (path: string, content: string | Buffer, keepOther: boolean) => {
    const there = await readIf(path);
    if (there?.equals(Buffer.from(content))) return;
    if (there !== undefined && keepOther) unknown.push(path);
    else jobs.push(fileJob(path, content));
  };
  // A bundle that differs may carry a CA that agents still need: it is reported, not replaced.
  await want(layout.bundle, issuer.bundle, true);
  if (key !== undefined) await want(layout.publicKey, exportSpki(key), true);
  for (const path of [layout.infraInventory, layout.infraSerials]) {
    if ((await readIf(path)) === undefined) jobs.push(fileJob(path, "\n"));
  }
  jobs.push({ do: "inventory", lines: await lackingLines(mirror, layout.inventory) });

  await inBackground(async (next) => {
    for (const name of tables.names.names()) {
      await next();
      onFile?.();
      const path = layout.signedFile(name);
      const pem = currentPem(mirror, name);
      if (pem === undefined || compareFileSync(path, pem) === "same") continue;
      const there = await readIf(path);
      if (there === undefined || isSame(there, pem) || isAccountedFor(mirror, there)) {
        jobs.push(signedJob(mirror, layout, name));
      } else unknown.push(path);
    }
  });
  for (const name of await pemNames(layout.signed)) {
    if (tables.names.has(name)) continue;
    const there = await readIf(layout.signedFile(name));
    if (there !== undefined && isAccountedFor(mirror, there)) {
      jobs.push(signedJob(mirror, layout, name));
    } else unknown.push(layout.signedFile(name));
  }

  for (const name of tables.requests.names()) {
    const pem = tables.requests.get(name)?.pem ?? "";
    if ((await readIf(layout.requestFile(name)))?.equals(Buffer.from(pem)) === true) continue;
    jobs.push(requestJob(mirror, layout, name));
  }
  for (const name of await pemNames(layout.requests)) {
    if (tables.requests.has(name)) continue;
    const there = await readIf(layout.requestFile(name));
    if (there !== undefined && (wasSigned(mirror, name, there) || isGivenUp(mirror, name, there))) {
      jobs.push(requestJob(mirror, layout, name));
    } else unknown.push(layout.requestFile(name));
  }
  return { jobs, unknown: unknown.sort() };
}

/** The lines that the inventory at `path` lacks, by serial. */
async function lackingLines(mirror: Mirror, path: string): Promise<InventoryLine[]> {
  const text = (await readIfThere(path)) ?? "";
  const there = await inBackground((next) => serialsIn(text, next));
  const lacking = [...mirror.tables.certs.names()].filter((serial) => !there.has(serial)).sort();
  return lacking.flatMap((serial) => inventoryLine(mirror, serial) ?? []);
}

/**
 * Whether the certificate in the file is one that the record has, so that nothing is lost with the
 * file.
 */
function isAccountedFor({ tables }: Mirror, pem: Buffer): boolean {
  try {
    const certificate = parseCertificate(pem);
    return tables.certs.get(serialOf(certificate.serial))?.der?.equals(certificate.der) ?? false;
  } catch {
    return false;
  }
}

/** Whether both are the same certificate, in other line lengths or with text around it. */
function isSame(there: Buffer, pem: string): boolean {
  try {
    return parseCertificate(there).der.equals(parseCertificate(pem).der);
  } catch {
    return false;
  }
}

/** Whether the request in the file became a certificate meanwhile. */
export function wasSigned(mirror: Mirror, name: string, pem: Buffer): boolean {
  try {
    const { spkiDer } = parseRequest(pem);
    return mirror.serialsOf(name).some((serial) => {
      const der = mirror.tables.certs.get(serial)?.der;
      return der !== undefined && parseCertificate(der).spkiDer.equals(spkiDer);
    });
  } catch {
    return false;
  }
}

/** Whether the request in the file waited in the record when this server last knew it. */
function isGivenUp({ formerRequests }: Mirror, name: string, pem: Buffer): boolean {
  const former = formerRequests.get(name);
  return former !== undefined && pem.equals(Buffer.from(former));
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    // Of a folder in a file's place node doesn't say which.
    throw new Error(`${path}: ${messageOf(error)}`, { cause: error });
  }
}
