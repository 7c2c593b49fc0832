// understudy ca restore: a backup becomes a CA directory again, as stock Puppet Server has it, on a
// server that belongs to no cluster. Then init takes it over as it does any. It is read through
// before anything is written, and is in its place whole or not at all.

import { readdir, rename } from "node:fs/promises";
import { Fault, messageOf } from "../../base/fault.ts";
import { isoTime } from "../../host/clock.ts";
import { exists, makeFolder, replaceFile, syncFolder } from "../../host/files.ts";
import type { Owner } from "../../host/users.ts";
import { eachAtOnce } from "../directory.ts";
import { pemNames, readAuthority } from "../directory-state.ts";
import type { Issuer } from "../issuer.ts";
import { caLayout, FILE_MODE, FOLDER_MODE, KEY_MODE, type CaLayout } from "../layout.ts";
import { placeAuthority, removeEmpty, resolveFolder } from "../place.ts";
import { renderSerialFile } from "../serial.ts";
import type { ArchiveFile } from "./archive.ts";
import { interruptedFault } from "./backup.ts";
import type { Checked } from "./check.ts";
import type { Manifest } from "./manifest.ts";
import { raise, refuseRestore, type RestoreFacts, type There } from "./restore-plan.ts";

/** Files written at once; each costs an fsync. */
const WRITES_AT_ONCE = 16;
const REPORT_EVERY = 10_000;

export interface RestoreOptions {
  checked: Checked;
  cadir: string;
  /** Whether what is there is moved aside. */
  replace: boolean;
  owner: Owner | undefined;
  member: RestoreFacts["member"];
  running: string | undefined;
  nowMs: number;
  report: (detail: string) => void;
  signal: AbortSignal;
}

export interface Restored {
  manifest: Manifest;
  cadir: string;
  serialNext: number;
  crlNumber: number;
  /** Where what was there is now; undefined where nothing was. */
  movedTo: string | undefined;
}

/**
 * Restores. Throws Fault `ca.restore-refused`, `ca.clock-off`, `ca.serials-exhausted`,
 * `ca.not-written`, `cli.interrupted`; then the CA directory is as it was.
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { checked, replace, nowMs } = options;
  const { manifest, authority } = checked;
  const folder = await resolveFolder(options.cadir);
  const there = await lookAt(folder, authority.issuer);
  refuseRestore({ ...options, folder, there }, manifest, replace);
  const { serialNext, crlNumber, crlPem } = await raise(authority, manifest, nowMs);
  const movedTo = there.is === "nothing" ? undefined : asideOf(folder, nowMs);
  const instead = new Map([
    [caLayout("").serial, Buffer.from(renderSerialFile(serialNext))],
    [caLayout("").crl, Buffer.from(crlPem)],
  ]);
  try {
    await placeAuthority(
      folder,
      async (fresh) => writeFiles(fresh, instead, options),
      async () => {
        if (movedTo === undefined) await removeEmpty(folder);
        else await rename(folder, movedTo);
      },
    );
  } catch (error) {
    // What was moved aside already comes back.
    if (movedTo !== undefined && !(await exists(folder))) {
      await rename(movedTo, folder).catch(() => undefined);
    }
    throw error instanceof Fault ? error : notWritten(folder, error);
  }
  return { manifest, cadir: folder, serialNext, crlNumber, movedTo };
}

async function lookAt(folder: string, issuer: Issuer): Promise<There> {
  if (await isEmpty(folder)) return { is: "nothing" };
  const found = await readAuthority(folder);
  if (found.state !== "complete") {
    const problem = found.state === "partial" ? found.problems[0] : undefined;
    const why = problem === undefined ? "" : `: ${problem}`;
    return { is: "other", what: `files that are no whole CA${why}` };
  }
  const { certificate } = found.issuer;
  if (certificate.der.equals(issuer.certificate.der)) return { is: "same" };
  const signed = (await pemNames(caLayout(folder).signed)).length;
  return { is: "other", what: `another CA, "${certificate.subjectText}", with ${signed} signed` };
}

/** Whether there is nothing but empty folders, as packages leave them. */
async function isEmpty(folder: string): Promise<boolean> {
  if (!(await exists(folder))) return true;
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.every((entry) => entry.isDirectory());
}

/** Writes the files to `fresh`, those of `instead` with other content than the backup's. */
async function writeFiles(
  fresh: CaLayout,
  instead: ReadonlyMap<string, Buffer>,
  { checked, owner, report, signal }: RestoreOptions,
): Promise<void> {
  const owned = owner === undefined ? {} : { owner };
  for (const folder of [fresh.folder, fresh.signed, fresh.requests]) {
    await makeFolder(folder, { mode: FOLDER_MODE, ...owned });
  }
  const keys = new Set([caLayout("").key, caLayout("").rootKey]);
  const write = async ({ path, content }: ArchiveFile) => {
    const mode = keys.has(path) ? KEY_MODE : FILE_MODE;
    const bytes = instead.get(path) ?? content;
    await replaceFile(`${fresh.folder}/${path}`, bytes, { mode, ...owned });
  };
  let waiting: ArchiveFile[] = [];
  let written = 0;
  const flush = async () => {
    if (signal.aborted) throw interruptedFault();
    await eachAtOnce(waiting, WRITES_AT_ONCE, write);
    const before = written;
    written += waiting.length;
    waiting = [];
    if (Math.floor(before / REPORT_EVERY) < Math.floor(written / REPORT_EVERY)) {
      report(`${written} files`);
    }
  };
  for await (const file of checked.files()) {
    waiting.push(file);
    if (waiting.length >= 4 * WRITES_AT_ONCE) await flush();
  }
  await flush();
  for (const folder of [fresh.signed, fresh.requests, fresh.folder]) await syncFolder(folder);
}

function asideOf(folder: string, nowMs: number): string {
  return `${folder}.before-restore-${isoTime(nowMs).replaceAll(/[-:]|\.\d+/g, "")}`;
}

function notWritten(folder: string, error: unknown): Fault {
  return new Fault("ca.not-written", `${folder} can't be written: ${messageOf(error)}`, {
    hints: ["What was there is as it was. Is there room, and may root write there?"],
    cause: error,
  });
}
