// The record as an ordinary CA directory: the same files that repair keeps on every server, but of
// one revision. Pure: memory and keys in, files out.

import type { KeyObject } from "node:crypto";
import { Fault, messageOf } from "../../base/fault.ts";
import { exportSpki } from "../../x509/keys.ts";
import { noRecord } from "../blocks.ts";
import { refuseEjected } from "../ejected.ts";
import { rebuildCrl, type PublishedCrl } from "../crl.ts";
import { crlOf } from "../crl-head.ts";
import { currentPem, inventoryLine } from "../directory-jobs.ts";
import { renderInventoryLine } from "../inventory.ts";
import type { Issuer } from "../issuer.ts";
import { caLayout } from "../layout.ts";
import type { Mirror } from "../mirror.ts";
import { compareSerials, renderSerialFile } from "../serial.ts";
import type { ArchiveFile } from "./archive.ts";

/** What only the disk has. */
export interface DiskParts {
  key: KeyObject;
  /** The bytes of ca_key.pem; of root_key.pem, where this server has it. */
  keyPem: Buffer;
  rootKeyPem: Buffer | undefined;
  /** Stock's own lists of its infrastructure; undefined where there are none. */
  infraInventory: Buffer | undefined;
  infraSerials: Buffer | undefined;
}

/** What a record must have before it can be backed up. */
export interface Backable {
  issuer: Issuer;
  crl: PublishedCrl;
  serialNext: number;
}

/**
 * The parts that everything hangs on. Throws Fault `ca.no-record`, `ca.ejected`, or
 * `ca.crl-mismatch` where a revocation is missing: restored, it would let a certificate back in.
 */
export function requireBackable(mirror: Mirror): Backable {
  const { authority, serial, crlHead, ejected } = mirror.tables;
  // What stock has signed since isn't in the record.
  refuseEjected(ejected.get(""));
  const row = authority.get("");
  const next = serial.get("")?.next;
  const number = crlHead.get("")?.number;
  if (row === undefined || next === undefined || number === undefined) throw noRecord();
  const value = crlOf(mirror, number);
  try {
    if (value === undefined) throw new Error(`the record lacks CRL ${number}`);
    const crl = rebuildCrl(row.issuer, value, mirror.revocations(), row.parentCrls);
    return { issuer: row.issuer, crl, serialNext: next };
  } catch (error) {
    throw new Fault("ca.crl-mismatch", `no backup was written: ${messageOf(error)}`, {
      hints: [
        "Restored, it would let a revoked certificate in. The daemons mend such a record within ten",
        "minutes; at once: understudy ca crl refresh. Then try again.",
      ],
      cause: error,
    });
  }
}

/** The files; their names are below the directory. */
export function* renderFiles(
  mirror: Mirror,
  { issuer, crl, serialNext }: Backable,
  disk: DiskParts,
): Generator<ArchiveFile> {
  const names = caLayout("");
  const none = Buffer.from("\n");
  const single: [string, string | Buffer | undefined][] = [
    [names.bundle, issuer.bundle],
    [names.key, disk.keyPem],
    [names.publicKey, exportSpki(disk.key)],
    [names.rootKey, disk.rootKeyPem],
    [names.crl, crl.pem],
    [names.serial, renderSerialFile(serialNext)],
    [names.inventory, renderInventory(mirror)],
    [names.infraInventory, disk.infraInventory ?? none],
    [names.infraSerials, disk.infraSerials ?? none],
  ];
  for (const [path, content] of single) {
    if (content !== undefined) yield { path, content: Buffer.from(content) };
  }
  for (const certname of signedNames(mirror)) {
    const pem = currentPem(mirror, certname) ?? "";
    yield { path: names.signedFile(certname), content: Buffer.from(pem) };
  }
  for (const { certname, pem } of mirror.tables.requests.rows()) {
    yield { path: names.requestFile(certname), content: Buffer.from(pem) };
  }
}

/** Names whose certificate is known in full. */
export function signedNames(mirror: Mirror): string[] {
  const names = [...mirror.tables.names.names()];
  return names.filter((certname) => currentPem(mirror, certname) !== undefined).sort();
}

function renderInventory(mirror: Mirror): string {
  const serials = [...mirror.tables.certs.names()].sort(compareSerials);
  return serials
    .flatMap((serial) => inventoryLine(mirror, serial) ?? [])
    .map(renderInventoryLine)
    .join("");
}
