// The parts of one server's authority, wired: record in memory, directory, key, signing, revoking.

import { readFile } from "node:fs/promises";
import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import type { Log } from "../base/log.ts";
import type { Ejected } from "../cluster/schema.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { readBytesIfThere } from "../host/files.ts";
import { createBlocks, noRecord, type Blocks } from "./blocks.ts";
import { catchUp } from "./catch-up.ts";
import { judgeClock } from "./clock.ts";
import { readPublishedCrl, type PublishedCrl } from "./crl.ts";
import { crlOf } from "./crl-head.ts";
import { createDirectory, type CaDirectory } from "./directory.ts";
import { latestEjected, refuseEjected } from "./ejected.ts";
import type { HandedOver } from "./handed-over.ts";
import { readIssuer, type Issuer } from "./issuer.ts";
import { recordOlder } from "./follow-plan.ts";
import type { CopyEnd, Journal } from "./journal.ts";
import { createKeyHolder, type KeyHolder } from "./key-holder.ts";
import { caLayout } from "./layout.ts";
import { type Change, Mirror } from "./mirror.ts";
import type { Copies, EdgeReport } from "./outcome.ts";
import type { PolicyProgram } from "./policy-program.ts";
import { createPublisher, type Publisher } from "./publish.ts";
import { CA_PREFIX } from "./record.ts";
import { createRevoker, type Revoker } from "./revoke.ts";
import type { Serial } from "./serial.ts";
import type { CaSettings } from "./settings.ts";
import type { Judge, Signer } from "./sign.ts";
import {
  createStore,
  isUnreachable,
  PATIENCE,
  readRecord,
  PAGE_WITHIN_MS,
  type Guard,
  type Patience,
  type Store,
} from "./store.ts";

export interface CaDeps {
  etcd: Etcd;
  /** This member's id. */
  member: string;
  /** The CA directory. */
  cadir: string;
  /** Who owns its files: puppet. */
  owner?: { uid: number; gid: number };
  /** puppetserver's own copy of the CRL ($ssldir/crl.pem). */
  hostCrlPath?: string;
  /** As they are now; asked for every decision. */
  settings: () => CaSettings;
  /** Members' certnames and addresses, the shared name: never given to agents. */
  protectedNames: () => Iterable<string>;
  /** Members' certnames: what is in force of them is revoked by their removal only. */
  memberNames: () => Iterable<string>;
  /**
   * Which servers have a durable copy of the record as of this revision. The giver bounds its time.
   */
  confirmCopies: (revision: number) => Promise<Copies>;
  /** Which edges refuse these serials. The giver bounds its time. */
  confirmEdges: (serials: readonly Serial[]) => Promise<EdgeReport>;
  /** How far this clock is off the others', milliseconds; undefined: not known. */
  clockOffsetMs: () => number | undefined;
  /** Whether the cluster has other members, whose clocks should be known; absent: it has none. */
  hasOthers?: () => boolean;
  log: Log;
  /** Asks a program that `autosign` names. */
  program: PolicyProgram;
  guard?: Guard;
  /** This server's own copy of the record: for a start without etcd, or a quick one with it. */
  copy?: Pick<Journal, "load" | "replay">;
  /** How long is waited for an etcd that doesn't answer; PATIENCE by default. */
  patience?: Partial<Patience>;
  /** Told of every CRL that is published here. */
  onCrl?: (crl: PublishedCrl) => void;
  /** The folder for what needn't be in memory, on a disk; absent: memory. */
  scratch?: string;
  /** What X-Puppet-Version says. */
  puppetVersion?: string;
  /** The mark that the CA directory is stock Puppet Server's, where it stood at the start. */
  handedOver?: HandedOver;
}

export interface Core {
  deps: CaDeps;
  mirror: Mirror;
  store: Store;
  directory: CaDirectory;
  publisher: Publisher;
  /** What every change compares besides; throws where the record is not to be changed. */
  guard: Guard;
  revoker: Revoker;
  blocks: Blocks;
  key: KeyHolder;
  issuer: () => Issuer;
  /**
   * What signs; throws Fault `ca.no-key`, `ca.clock-off`, `ca.ejected` when this server may not
   * sign now.
   */
  signer: () => Signer;
  /** What requests are judged with, also when this server may not sign. */
  judge: () => Judge;
  /** The mark that the CA directory is stock Puppet Server's: nothing in it is touched then. */
  handedOver: HandedOver | undefined;
  /** Whether memory was filled from etcd. */
  loaded: boolean;
  /** How often memory was filled from etcd. */
  loads: number;
  /** When memory was last known to have all that etcd has, monotonic milliseconds. */
  readMs: number;
  /** The end of the copy that memory is made of, until etcd has said whether that is its record. */
  fromCopy: CopyEnd | undefined;
  /** Files in the directory that nobody accounts for, and when each was changed last, ms. */
  unknown: ReadonlyMap<string, number>;
  /** Whether what was done in the directory by others couldn't be taken in yet. */
  takeInOpen: boolean;
  /** The CRL that lay in the directory before this start. */
  crlAtStart: PublishedCrl | undefined;
  /** The number of a CRL that somebody signed in the directory: it isn't the record's to have. */
  foreignCrl: number | undefined;
}

/** Wires the parts and fills memory. Throws Fault `ca.no-record` when no CA is found anywhere. */
export async function createCore(deps: CaDeps, signal: AbortSignal): Promise<Core> {
  const { log } = deps;
  const mirror = new Mirror(log, deps.scratch);
  const patience = { ...PATIENCE, ...deps.patience };
  const guard: Guard = async () => {
    refuseEjected(ejectedOf(core));
    if (publisher.crl()?.number !== core.foreignCrl) refuseOlderCrl(mirror, publisher);
    return (await deps.guard?.()) ?? [];
  };
  const store: Store = createStore({
    ...deps,
    mirror,
    patience,
    guard,
    ensureLoaded: async () => {
      if (core.loaded) return false;
      await loadRecord(core, patience.commitMs);
      return true;
    },
    onTouched: (touched) => void publisher.publish(touched),
  });
  const isHandedOver = () => core.handedOver !== undefined;
  const directory = createDirectory({ ...deps, folder: deps.cadir, isHandedOver }, signal);
  const isEjected = () => ejectedOf(core) !== undefined;
  const publisher: Publisher = createPublisher({ ...deps, store, directory, isEjected });
  const key = createKeyHolder(caLayout(deps.cadir).key);
  const blocks = createBlocks(store, deps.member);
  let fromDisk: Issuer | undefined;
  const issuer = () => {
    const known = mirror.tables.authority.get("")?.issuer ?? fromDisk;
    if (known === undefined) throw noRecord();
    return known;
  };
  const judge = (): Judge => {
    return { store, settings: deps.settings(), names: nameContext(deps, mirror) };
  };
  const signer = (): Signer => {
    refuseEjected(ejectedOf(core));
    const clock = judgeClock(
      { offsetMs: deps.clockOffsetMs(), hasOthers: deps.hasOthers?.() ?? false },
      wallMs(),
      crlOf(mirror, mirror.tables.crlHead.get("")?.number ?? 0),
    );
    return { ...judge(), clock, blocks, issuer: issuer(), key: key.get(), member: deps.member };
  };
  const revoker = createRevoker({
    signer,
    publish: (touched) => publisher.publish(touched),
    published: () => publisher.crl(),
  });
  const core: Core = {
    deps,
    mirror,
    store,
    directory,
    publisher,
    guard,
    revoker,
    blocks,
    key,
    issuer,
    judge,
    signer,
    handedOver: deps.handedOver,
    loaded: false,
    loads: 0,
    readMs: 0,
    fromCopy: undefined,
    unknown: new Map(),
    takeInOpen: false,
    crlAtStart: undefined,
    foreignCrl: undefined,
  };
  await loadCopy(core);
  try {
    await loadRecord(core, patience.startMs, deadline(patience.startWholeMs, signal));
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    log.warn("etcd is out of reach: certificates are served from this server's disk");
    fromDisk = await issuerFromDisk(core);
  }
  core.crlAtStart = await assumeCrl(core, issuer());
  await key.load(issuer());
  return core;
}

/** Where the CA went, as the record or this server's own mark says; undefined: it is ours. */
export function ejectedOf({ mirror, handedOver }: Core): Ejected | undefined {
  return latestEjected(mirror.tables.ejected.get(""), handedOver);
}

/** Whether this server may sign now. */
export function canSign(core: Core): boolean {
  try {
    core.signer();
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

/**
 * Brings the whole record into memory, by what has changed since this server's copy where that is
 * possible. Throws Fault `etcd.…`, `ca.no-record`.
 */
export async function loadRecord(
  core: Core,
  firstAnswerMs = PAGE_WITHIN_MS,
  signal?: AbortSignal,
): Promise<void> {
  const { mirror, deps } = core;
  const { etcd } = deps;
  for (const { certname, pem } of mirror.tables.requests.rows()) {
    mirror.formerRequests.set(certname, pem);
  }
  // A small read first: whether etcd answers at all is known soon, the rest may take its time.
  const until = signal === undefined ? {} : { signal };
  await etcd.get(CA_PREFIX, { withinMs: firstAnswerMs, ...until });
  const copied = core.fromCopy;
  if (copied === undefined || !(await catchUp(etcd, mirror, copied, signal))) {
    // What a copy of another record brought must not pass for newer than this one.
    if (copied !== undefined) mirror.distrust();
    core.fromCopy = undefined;
    await readRecord(etcd, mirror, signal);
  }
  if (!mirror.tables.authority.has("")) throw noRecord();
  core.fromCopy = undefined;
  core.loaded = true;
  core.loads += 1;
  core.readMs = monotonicMs();
}

/** Changes taken into memory at once. */
const TAKEN_AT_ONCE = 500;

/** Fills memory with this server's copy; one that can't be read is none. */
async function loadCopy(core: Core): Promise<void> {
  const { deps, mirror } = core;
  let waiting: Change[] = [];
  try {
    const end = await deps.copy?.load(({ key, value, revision }) => {
      waiting.push({ key, value, modRevision: revision });
      if (waiting.length < TAKEN_AT_ONCE) return;
      mirror.apply(waiting);
      waiting = [];
    });
    mirror.apply(waiting);
    if (end !== undefined && end.revision > 0) core.fromCopy = end;
  } catch (error) {
    deps.log.warn("this server's copy of the record can't be read", { why: messageOf(error) });
    mirror.distrust();
  }
}

/** Who issues, when etcd can't be asked: of the copy, or else of the CA directory. */
async function issuerFromDisk({ deps, mirror }: Core): Promise<Issuer> {
  const layout = caLayout(deps.cadir);
  const known = mirror.tables.authority.get("")?.issuer;
  const bundle = await readFile(layout.bundle).catch(() => undefined);
  if (known === undefined && bundle === undefined) throw noRecord();
  return known ?? readIssuer(bundle ?? Buffer.alloc(0));
}

/**
 * Takes the CRL on disk for the published one until the record's comes out. Without it a record
 * whose newest CRL can't be rebuilt, or is an older one, would leave agents without any after a
 * restart.
 */
async function assumeCrl({ deps, publisher }: Core, issuer: Issuer) {
  const crl = await readDiskCrl(deps, issuer);
  if (crl !== undefined) publisher.assume(crl);
  return crl;
}

/** Our CRL as it is on disk; undefined, with a warning, where it can't be read. */
export async function readDiskCrl({ cadir, log }: CaDeps, issuer: Issuer) {
  try {
    const pem = await readBytesIfThere(caLayout(cadir).crl);
    return pem && readPublishedCrl(pem, issuer);
  } catch (error) {
    log.warn("the CRL on disk can't be read", { why: messageOf(error) });
    return undefined;
  }
}

/** A record that hasn't come as far as what was published here was restored from an old copy. */
function refuseOlderCrl({ tables }: Mirror, publisher: Publisher): void {
  const published = publisher.crl()?.number ?? 0;
  const there = tables.crlHead.get("")?.number ?? 0;
  if (published <= there) return;
  throw recordOlder(`its newest CRL is ${there}, and ${published} is published here`);
}

function nameContext(deps: CaDeps, mirror: Mirror): Signer["names"] {
  const names = [...deps.protectedNames()].map((name) => name.toLowerCase());
  return {
    protectedNames: new Set(names),
    isCertname: (name) => mirror.tables.names.has(name),
  };
}
