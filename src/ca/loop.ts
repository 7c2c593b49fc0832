// Keeps memory and directory in step with the record. The watch makes it quick, the checks make it
// true: a lost event costs at most one of their rounds.

import { type Loop, startLoop } from "../base/loop.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { ejectedOf, loadRecord, type Core } from "./core.ts";
import { signApproved } from "./operations.ts";
import { AUTHORITY_KEY, CA_PREFIX, CRL_HEAD_KEY } from "./record.ts";
import { parseSerialFile } from "./serial.ts";
import { changeOf } from "./store.ts";
import { readIfThere } from "../host/files.ts";
import { serialJob } from "./directory-jobs.ts";
import { keepOwner } from "./owners.ts";
import { reconcile } from "./reconcile.ts";
import { planRepair } from "./repair.ts";
import { prepareStatuses } from "./view.ts";
import { isEdited, stampsOf, takeIn } from "./take-in.ts";

const CONNECT_EVERY_MS = 1000;
const CONNECT_WITHIN_MS = 5000;
const CHECK_EVERY_MS = 15_000;
const UPKEEP_EVERY_MS = 600_000;
/** How old a CRL gets before it is signed anew, by whoever is first. */
export const CRL_REFRESH_MS = 30 * 24 * 3600 * 1000;

/** A watch that ended sooner had none to watch at. */
const WATCHED_MS = 1000;

/** Starts the loops, which end when `signal` aborts. */
export function startLoops(core: Core, signal: AbortSignal): Loop[] {
  const { log } = core.deps;
  let watching = false;
  // A change that finds memory stale fills it anew too; what came in between is not on disk then.
  let repairedLoads = 0;
  const watch = () => {
    watching = true;
    const beganMs = monotonicMs();
    watchRecord(core, signal, (why) => {
      watching = false;
      // One that found nobody is left to the timer, or this goes round while etcd is down.
      if (monotonicMs() - beganMs < WATCHED_MS) return;
      log.info("the watch on the CA's record ended", { why });
      connect.wake();
    });
  };
  const connect = startLoop({
    name: "ca record",
    everyMs: CONNECT_EVERY_MS,
    log,
    signal,
    body: async () => {
      if (!core.loaded) await loadRecord(core, CONNECT_WITHIN_MS, signal);
      if (!watching) watch();
      const well = core.directory.state().why === undefined;
      if (well && core.directory.takeDropped()) repairedLoads = 0;
      const { loads } = core;
      if (repairedLoads === loads) return;
      await prepareStatuses(core.mirror, () => connect.getsOn());
      await repair(core, { signal, onFile: () => connect.getsOn() });
      repairedLoads = loads;
    },
  });
  const check = startLoop({
    name: "ca check",
    everyMs: CHECK_EVERY_MS,
    log,
    signal,
    body: async () => {
      if (!core.loaded) return;
      await core.store.refresh([AUTHORITY_KEY, CRL_HEAD_KEY], { signal });
      // Nothing to do unless an earlier attempt failed.
      await core.publisher.publishCrl();
      if (ejectedOf(core) !== undefined) return;
      await keepSerialFile(core, signal);
      const signed = await signApproved(core);
      if (signed.length > 0) log.info("signed what autosign had let through", { signed });
      // etcd answers: what failed for want of it need not wait, and be told of, any longer.
      if (upkeep.last()?.because?.startsWith("etcd.") === true) upkeep.wake();
    },
  });
  const upkeep = startLoop({
    name: "ca upkeep",
    everyMs: UPKEEP_EVERY_MS,
    log,
    signal,
    body: async () => {
      if (!core.loaded) return;
      // Right after a start all has just been read, and the directory is being compared.
      if (monotonicMs() - core.readMs > UPKEEP_EVERY_MS / 2) await reconcile(core, signal);
      const isCompared = repairedLoads === core.loads && core.handedOver === undefined;
      if (isCompared && (await isEdited(core))) {
        await repair(core, { signal, onFile: () => upkeep.getsOn() });
      }
      if (core.key.peek() !== undefined && ejectedOf(core) === undefined) await refreshCrl(core);
    },
  });
  const loops = [connect, check, upkeep];
  // Each may have to wait for the directory, which takes its time for 100,000 certificates.
  core.directory.onProgress(() => {
    for (const loop of loops) loop.getsOn();
  });
  return loops;
}

/** Takes every change in as etcd tells of it, until `onLost`. */
function watchRecord(core: Core, signal: AbortSignal, onLost: (why: string) => void): void {
  core.deps.etcd.watch(CA_PREFIX, {
    fromRevision: core.mirror.revision + 1,
    signal,
    onEvents(events, revision) {
      const touched = core.mirror.apply(events.map(changeOf), revision);
      void core.publisher.publish(touched);
    },
    onLost(why, compacted) {
      if (compacted) core.loaded = false;
      onLost(why);
    },
  });
}

export interface RepairOptions {
  signal?: AbortSignal;
  /** Called for each file that is looked at: all of them may take long. */
  onFile?: () => void;
  /** Whether the record may be changed for it; by default as long as the cluster's CA hasn't ended. */
  changesRecord?: boolean;
}

/**
 * Brings the directory in step with the record, as planRepair says; resolves when that is on disk.
 * One that was handed over to stock Puppet Server is left alone.
 */
export async function repair(core: Core, options: RepairOptions = {}): Promise<void> {
  if (core.handedOver !== undefined) return;
  const { signal, onFile } = options;
  const changesRecord = () => options.changesRecord ?? ejectedOf(core) === undefined;
  const { mirror, directory, deps } = core;
  const given = deps.owner && (await keepOwner(directory.layout, deps.owner));
  if (given !== undefined && given.length > 0) {
    deps.log.notice("given to the user that puppetserver runs as", { files: given });
  }
  await core.key.load(core.issuer());
  const issuer = core.issuer();
  const compare = () => planRepair(mirror, directory, issuer, core.key.peek(), onFile);
  const before = await compare();
  const taken = changesRecord() && (await takeIn(core, before.unknown));
  const { jobs, unknown } = taken ? await compare() : before;
  if (await directory.apply(jobs)) mirror.formerRequests.clear();
  // Only now: what the record had given up a moment ago is gone, too.
  const left = await stampsOf(unknown);
  for (const path of left.keys()) {
    if (!core.unknown.has(path)) deps.log.warn(`${path} is unknown to the record: left alone`);
  }
  core.unknown = left;
  await core.publisher.publishCrl(true);
  if (changesRecord()) await keepSerialFile(core, signal);
}

/**
 * Has the `serial` file point into a block of this server's that has room, so that stock tools
 * never come to its end: behind it are another's serials.
 */
async function keepSerialFile({ directory, blocks }: Core, signal?: AbortSignal): Promise<void> {
  const seen = (await readIfThere(directory.layout.serial)) ?? "";
  const next = parseSerialFile(seen);
  const { from, to } = await blocks.directoryBlock(next, signal);
  const within = next !== undefined && next >= from && next <= to;
  if (!within) await directory.apply([serialJob(directory.layout, seen, from)]);
}

/** Signs the CRL anew when it is so old, by default a month. Returns whether this server did. */
export function refreshCrl(core: Core, olderThanMs = CRL_REFRESH_MS): Promise<boolean> {
  return core.revoker.refresh(olderThanMs, wallMs());
}
