// understudy ca backup: what brings the CA back after every server is lost, as one encrypted file.
// The passphrase never leaves this process, and the daemon isn't asked.

import { readFile } from "node:fs/promises";
import { Fault, messageOf } from "../../base/fault.ts";
import type { NodeFile } from "../../cluster/schema.ts";
import { isoTime, wallMs } from "../../host/clock.ts";
import { createFileAtomic, readBytesIfThere, writeFileAtomic } from "../../host/files.ts";
import { VERSION } from "../../version.ts";
import { fingerprint } from "../../x509/fingerprint.ts";
import { matches, readPrivateKey } from "../../x509/keys.ts";
import type { Issuer } from "../issuer.ts";
import { caLayout } from "../layout.ts";
import { pack, type ArchiveFile } from "./archive.ts";
import {
  renderFiles,
  requireBackable,
  signedNames,
  type Backable,
  type DiskParts,
} from "./files.ts";
import type { Manifest } from "./manifest.ts";
import { seal } from "./seal.ts";
import type { Snapshot } from "./snapshot.ts";

const FILE_MODE = 0o600;
const REPORT_EVERY = 10_000;

export interface BackupOptions {
  snapshot: Snapshot;
  node: NodeFile;
  cadir: string;
  /** Where the backup goes. */
  path: string;
  /** Whether a file that is there is replaced. */
  force: boolean;
  passphrase: string;
  /** Of making the key; default seal.ts's. */
  cost?: number;
  report: (detail: string) => void;
  signal: AbortSignal;
}

/**
 * Writes the backup, whole or not at all. Throws Fault `ca.no-record`, `ca.no-key`,
 * `ca.crl-mismatch`, `ca.file-there`, `ca.not-written`, `cli.interrupted`.
 */
export async function writeBackup(options: BackupOptions): Promise<Manifest> {
  const { snapshot, path, force, passphrase, cost } = options;
  const backable = requireBackable(snapshot.mirror);
  const disk = await readDisk(options.cadir, backable.issuer);
  const manifest = describe(options, backable, disk);
  const files = renderFiles(snapshot.mirror, backable, disk);
  const bytes = seal(pack(manifest, watched(files, options)), passphrase, cost);
  const place = force ? writeFileAtomic : createFileAtomic;
  try {
    await place(path, bytes, { mode: FILE_MODE });
  } catch (error) {
    throw error instanceof Fault ? error : writeFault(path, error);
  }
  return manifest;
}

/** What can't be written, in words; nothing of it is left. */
export function writeFault(path: string, error: unknown): Fault {
  if (error instanceof Error && "code" in error && error.code === "EEXIST") return thereFault(path);
  const hint = isLink(error)
    ? "Nothing is left of it. Its file system has no hard links, as FAT: --force does without one."
    : "Nothing is left of it. Is there room, and is it a folder that root may write to?";
  return new Fault("ca.not-written", `${path} can't be written: ${messageOf(error)}`, {
    hints: [hint],
    cause: error,
  });
}

/** Whether the file was whole, and only its hard link couldn't be made. */
function isLink(error: unknown): boolean {
  if (!(error instanceof Error) || !("syscall" in error) || !("code" in error)) return false;
  return error.syscall === "link" && (error.code === "EPERM" || error.code === "ENOTSUP");
}

export function thereFault(path: string): Fault {
  return new Fault("ca.file-there", `${path} is there already: nothing was changed`, {
    hints: ["Give another name, or --force to replace it."],
  });
}

/** Throws Fault `ca.no-key`. */
async function readDisk(cadir: string, issuer: Issuer): Promise<DiskParts> {
  const layout = caLayout(cadir);
  try {
    const keyPem = await readFile(layout.key);
    const key = readPrivateKey(keyPem);
    if (!matches(key, issuer.certificate.spkiDer)) throw new Error("it is another CA's key");
    const [rootKeyPem, infraInventory, infraSerials] = [
      await readBytesIfThere(layout.rootKey),
      await readBytesIfThere(layout.infraInventory),
      await readBytesIfThere(layout.infraSerials),
    ];
    return { key, keyPem, rootKeyPem, infraInventory, infraSerials };
  } catch (error) {
    throw new Fault("ca.no-key", `${layout.key} can't be backed up: ${messageOf(error)}`, {
      hints: ["Make the backup on another server: understudy member list"],
      cause: error,
    });
  }
}

function describe(
  { snapshot, node }: BackupOptions,
  { issuer, crl, serialNext }: Backable,
  disk: DiskParts,
): Manifest {
  const { mirror, settings, revision, source } = snapshot;
  const { sharedName, otherNames, virtualIps, acceptProxyFrom, isolatedEdge } = settings;
  const { certificate } = issuer;
  return {
    format: 1,
    madeBy: VERSION,
    at: isoTime(wallMs()),
    cluster: { id: node.clusterId, generation: node.generation },
    member: node.id,
    source,
    revision,
    settings: { sharedName, otherNames, virtualIps, acceptProxyFrom, isolatedEdge },
    issuer: {
      subject: certificate.subjectText,
      fingerprint: fingerprint(certificate.der),
      notAfter: isoTime(certificate.notAfter),
    },
    serialNext,
    crlNumber: crl.number,
    certificates: mirror.tables.certs.size,
    signed: signedNames(mirror).length,
    requests: mirror.tables.requests.size,
    revoked: crl.count,
    rootKey: disk.rootKeyPem !== undefined,
  };
}

/** The files, told of from time to time, until `signal` aborts. Throws Fault `cli.interrupted`. */
function* watched(
  files: Iterable<ArchiveFile>,
  { report, signal }: Pick<BackupOptions, "report" | "signal">,
): Generator<ArchiveFile> {
  let count = 0;
  for (const file of files) {
    if (signal.aborted) throw interruptedFault();
    yield file;
    count += 1;
    if (count % REPORT_EVERY === 0) report(`${count} files`);
  }
}

/** The Fault for a command that somebody ended; what it had written is gone. */
export function interruptedFault(): Fault {
  return new Fault("cli.interrupted", "interrupted: nothing was changed", {
    hints: ["The same command begins anew."],
  });
}
