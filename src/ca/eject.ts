// The end of the cluster's CA: one transaction after which no server signs, then the CA directory
// of this server as stock Puppet Server wants it, with all that was ever issued. Each step may be
// repeated. Danger: from the mark on stock signs in that directory, so it comes last.

import { Fault, messageOf } from "../base/fault.ts";
import type { Ejected } from "../cluster/schema.ts";
import { EJECTED_KEY } from "../cluster/keys.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import { createCrlAsync, crlPem } from "../x509/crl.ts";
import { RESTORE_JUMP } from "./backup/restore-plan.ts";
import { noRecord } from "./blocks.ts";
import { crlTimes, judgeClock } from "./clock.ts";
import { loadRecord, type Core } from "./core.ts";
import { crlContent } from "./crl.ts";
import { crlOf, verifyHead } from "./crl-head.ts";
import { partialFault, readAuthority, type DiskAuthority } from "./directory-state.ts";
import { refuseEjected } from "./ejected.ts";
import { writeHandedOver, type HandedOver } from "./handed-over.ts";
import { readContent, type DiskContent } from "./import-read.ts";
import { inventoryLine } from "./directory-jobs.ts";
import { renderInventoryLine } from "./inventory.ts";
import { FILE_MODE } from "./layout.ts";
import { repair } from "./loop.ts";
import { encodeValue, SERIAL_KEY, CRL_HEAD_KEY } from "./record.ts";
import { planRepair } from "./repair.ts";
import {
  isSerial,
  parseSerialFile,
  renderSerialFile,
  SERIAL_MAX,
  serialOf,
  type Serial,
} from "./serial.ts";
import { isUnreachable, PATIENCE, unchanged } from "./store.ts";
import { revokedRow, type RevokedRow } from "./tables.ts";

/** Attempts while other servers sign and revoke. */
const TRIES_MAX = 50;

/**
 * How far serials and CRL numbers jump where the other servers can't be asked: more than they can
 * have given that this one doesn't know of.
 */
export const ALONE_JUMP = RESTORE_JUMP;

/** What the record says once the CA has ended, and the revision with which it did. */
export interface Ended {
  ejected: Ejected;
  /** 0: it had ended before. */
  revision: number;
}

/**
 * Ends the CA of the whole cluster in favour of this server's stock Puppet Server. Where it has
 * ended, says whereto. Throws what requireSigner throws, `eject.directory`, `ca.busy`.
 */
export async function endAuthority(core: Core): Promise<Ended> {
  const { store, deps } = core;
  const { serial, ejected } = store.mirror.tables;
  await store.refresh([EJECTED_KEY]);
  for (let tries = 0; tries < TRIES_MAX; tries += 1) {
    const there = ejected.get("");
    if (there !== undefined) return { ejected: there, revision: 0 };
    core.signer();
    // What can't be brought to disk now must not be found out when nobody signs any more.
    if (tries === 0) await bringInStep(core);
    const head = await verifyHead(store);
    if (!head.whole) {
      throw new Fault("ca.crl-mismatch", `the record doesn't account for CRL ${head.number}`, {
        hints: ["The daemons mend it within ten minutes; at once: understudy ca crl refresh"],
      });
    }
    const wish: Ejected = { to: deps.member, at: isoTime(wallMs()), alone: false };
    const value = encodeValue(wish);
    const done = await store.commit({
      when: [unchanged(CRL_HEAD_KEY, head.revision), unchanged(SERIAL_KEY, serial.revisionOf(""))],
      then: [{ put: EJECTED_KEY, value }],
      settle: { key: EJECTED_KEY, value },
    });
    if (done.ok) return { ejected: wish, revision: done.revision };
  }
  throw new Fault("ca.busy", `other servers signed ${TRIES_MAX} times in between: try again`);
}

/** Who has the cluster's CA, and how the mark is written. */
export interface HandOver {
  clusterId: string;
  /**
   * Without the other servers, or without the one that has the CA and is lost: the numbers jump,
   * and only this server knows.
   */
  alone: boolean;
  /** Where the mark goes; PATHS.handedOver by default. */
  markPath?: string;
}

/**
 * Makes this server's CA directory stock Puppet Server's: all that was issued is in it, its next
 * serial lies above every one that any server was given. Done before, it returns the same mark.
 * Throws Fault `eject.directory`, `ca.ejected` where another server has it, `ca.no-key`,
 * `ca.clock-off`, `etcd.…`.
 */
export async function handOver(core: Core, wish: HandOver): Promise<HandedOver> {
  if (core.handedOver !== undefined) return core.handedOver;
  return give(core, wish).catch((error: unknown) => {
    throw error instanceof Fault ? error : directoryFault(core, messageOf(error));
  });
}

async function give(core: Core, wish: HandOver): Promise<HandedOver> {
  const { mirror, deps } = core;
  // All of it anew: this server may not have heard of the last signatures yet.
  if (wish.alone) await loadRecord(core, PATIENCE.startMs).catch(onlyUnreachable);
  else await loadRecord(core);
  const recorded = mirror.tables.ejected.get("");
  /** Every server knows, and none has given what isn't in the record. */
  const isSure = recorded?.to === deps.member && !recorded.alone;
  if (!isSure && !wish.alone) {
    refuseEjected(recorded);
    throw notEnded();
  }
  if (!isSure) requireClock(core);
  await bringInStep(core, !isSure);
  await ensureSerial(core);
  const found = await requireWhole(core);
  const { authority } = found;
  const serialNext = await raiseSerial(core, found, isSure ? 0 : ALONE_JUMP);
  const crlNumber = isSure ? numberOf(authority) : await raiseCrl(core, authority);
  const mark: HandedOver = {
    ...(isSure ? recorded : { to: deps.member, at: isoTime(wallMs()), alone: true }),
    clusterId: wish.clusterId,
    serialNext,
    crlNumber,
  };
  await writeHandedOver(mark, wish.markPath);
  core.handedOver = mark;
  await core.directory.idle();
  deps.log.notice("the CA directory is stock Puppet Server's from now on", { serialNext });
  return mark;
}

/** A CRL is dated here: throws Fault `ca.clock-off` where it would lie behind the newest one. */
function requireClock({ mirror, deps }: Core): void {
  const newest = crlOf(mirror, mirror.tables.crlHead.get("")?.number ?? 0);
  const clock = { offsetMs: deps.clockOffsetMs(), hasOthers: deps.hasOthers?.() ?? false };
  judgeClock(clock, wallMs(), newest);
}

function onlyUnreachable(error: unknown): void {
  if (!isUnreachable(error)) throw error;
}

function notEnded(): Fault {
  return new Fault("eject.refused", "the cluster's CA has not ended: nothing was handed over");
}

/**
 * Brings the directory in step with memory. Throws Fault `eject.directory` where that fails.
 * `alone`: the record can't be changed for it, and the CRL on disk may have jumped before.
 */
async function bringInStep(core: Core, alone = false): Promise<void> {
  await repair(core, alone ? { changesRecord: false } : {}).catch((error: unknown) => {
    throw error instanceof Fault ? error : directoryFault(core, messageOf(error));
  });
  const { why } = core.directory.state();
  const because = why ?? (alone ? undefined : core.publisher.alarm());
  if (because !== undefined) throw directoryFault(core, because);
}

interface Whole {
  authority: DiskAuthority;
  content: DiskContent;
}

/**
 * What the directory has, when that is all that memory has: compared with the disk, not with what
 * was meant to be there.
 */
async function requireWhole(core: Core): Promise<Whole> {
  const { mirror, directory, deps } = core;
  const { jobs } = await planRepair(mirror, directory, core.issuer(), core.key.get());
  const wrong = jobs.find((job) => job.do === "file");
  if (wrong !== undefined) throw directoryFault(core, `${wrong.path} isn't as it must be`);
  const authority = await readAuthority(deps.cadir);
  if (authority.state === "absent") throw noRecord();
  if (authority.state === "partial") throw partialFault(deps.cadir, authority.problems);
  const content = await readContent(deps.cadir, authority);
  const serials = new Set(content.inventory.map(({ serial }) => serial));
  const lines = new Set(authority.inventory.split("\n"));
  const isListed = (serial: Serial) => {
    const line = inventoryLine(mirror, serial);
    // Stock's own odd names are in lines that only their text can be told by.
    return serials.has(serial) || !line || lines.has(renderInventoryLine(line).trimEnd());
  };
  const lacking = [...mirror.tables.certs.names()].find((serial) => !isListed(serial));
  if (lacking !== undefined) throw directoryFault(core, `the inventory lacks serial ${lacking}`);
  return { authority, content };
}

/** A directory that was new when the CA ended has no `serial` file yet. */
async function ensureSerial(core: Core): Promise<void> {
  const { directory, mirror } = core;
  const path = directory.layout.serial;
  const next = mirror.tables.serial.get("")?.next;
  if (next === undefined || (await readIfThere(path)) !== undefined) return;
  await writeFileAtomic(path, renderSerialFile(next), ownedBy(core));
}

/** Writes the `serial` file; returns what it says then. */
async function raiseSerial(core: Core, { content }: Whole, jump: number): Promise<number> {
  const { directory, mirror } = core;
  const path = directory.layout.serial;
  const { serial, ejected } = mirror.tables;
  const known = [serial.get("")?.next, ejected.get("")?.serialNext, content.next];
  const next = Math.max(...known.map((each) => each ?? 0)) + jump;
  if (next > SERIAL_MAX) {
    throw new Fault("ca.serials-exhausted", `the next serial would be ${next}`, {
      hints: ["Puppet Server reads none above 2^31. A new certificate authority is needed."],
    });
  }
  if (parseSerialFile((await readIfThere(path)) ?? "") !== next) {
    await writeFileAtomic(path, renderSerialFile(next), ownedBy(core));
  }
  return next;
}

/** Signs a CRL far above every one that is known, of all that is known to be revoked. */
async function raiseCrl(core: Core, authority: DiskAuthority): Promise<number> {
  const { directory, issuer, key, mirror } = core;
  const [, ...parents] = authority.crls;
  const { crlHead, ejected } = mirror.tables;
  const newest = crlHead.get("")?.number ?? 0;
  const before = ejected.get("")?.crlNumber ?? 0;
  const number = Math.max(newest, before, numberOf(authority)) + ALONE_JUMP;
  const times = crlTimes(wallMs(), crlOf(mirror, newest), "alone");
  const rows = [...mirror.revocations(), ...onDiskOnly(core, authority)];
  const content = crlContent(issuer(), { number, ...times }, rows);
  const { der } = await createCrlAsync({ ...content, signingKey: key.get() });
  const pems = [der, ...parents.map((crl) => crl.der)].map(crlPem).join("");
  await writeFileAtomic(directory.layout.crl, pems, ownedBy(core));
  return number;
}

/** Entries of the directory's CRL that memory hasn't, as rows. */
function onDiskOnly({ mirror }: Core, { crls }: DiskAuthority): RevokedRow[] {
  const { revoked } = mirror.tables;
  const seen = new Set<Serial>();
  return crls[0].entries.flatMap(({ serial: value, timeMs, reason }) => {
    if (!isSerial(value)) return [];
    const serial = serialOf(value);
    if (revoked.has(serial) || seen.has(serial)) return [];
    seen.add(serial);
    const at = isoTime(timeMs);
    return [revokedRow(serial, { number: 0, at, reason, certname: null })];
  });
}

function numberOf({ crls }: DiskAuthority): number {
  return Number(crls[0].number ?? 0n);
}

function ownedBy({ deps }: Core) {
  return { mode: FILE_MODE, ...(deps.owner === undefined ? {} : { owner: deps.owner }) };
}

function directoryFault({ deps }: Core, because: string): Fault {
  return new Fault("eject.directory", `${deps.cadir} can't be handed over yet: ${because}`, {
    hints: ["Is there room on its disk? The same command goes on."],
  });
}
