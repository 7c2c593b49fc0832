// One side of a switchover on this server, a process of its own: the daemon's sandbox may not
// change the kernel's settings, and a daemon that restarts must break no connection. It prepares,
// has keepalived move the addresses, keeps connections until they have ended, and puts all back.
// Killed, it is started again and goes on where it was; what must never stay is put back by a timer
// of systemd with the same script.

import { rm } from "node:fs/promises";
import { messageOf } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { pause } from "../../base/retry.ts";
import { bootMs } from "../../host/clock.ts";
import { exists, readIfThere, writeFileAtomic } from "../../host/files.ts";
import { parsePriority, WILLING } from "../priority.ts";
import { vipPaths } from "../paths.ts";
import { applyStep, runUndo } from "./apply.ts";
import { type Caller, startCalling } from "./call.ts";
import { decideKeeper } from "./decide.ts";
import { nudge } from "./nudge.ts";
import { hears, heldOf, isOver, readProgress, readSockets, readSysctls } from "./observe.ts";
import { addTheirs, readList, readTheirs, writeList } from "./theirs.ts";
import {
  type Before,
  type KeptMove,
  keptMoves,
  listUndo,
  Order,
  type Progress,
  type Side,
  type SwitchoverPaths,
  switchoverPaths,
} from "./order.ts";
import { planHandOver, planPreparation, type Step, sysctlsOf, TABLES, takesOver } from "./plan.ts";
import { countLinks, renderUndo, SILENCE_S } from "./render.ts";

const PAUSE_MS = { preparing: 100, prepared: 20, moving: 20, moved: 1000, ended: 0 } as const;
/** Longer than the new holder's kernel goes on without a call: then it resets, and nothing is silent. */
const HUSH_MS = SILENCE_S * 1000 + 1000;

/** The new holder ends later than the old one, so that it can reset what is left. */
const LATER_MS = 30_000;

export interface KeeperOptions {
  /** Default /run/understudy/switchover, /var/lib/understudy/vip. */
  folder?: string;
  vipFolder?: string;
  log: Log;
  signal: AbortSignal;
  /** Awaited before each change that it makes: a test kills it there. */
  onStep?: (what: string) => Promise<void>;
}

/** Runs one side until it has ended; at once when there is nothing to do. */
export async function runKeeper(side: Side, options: KeeperOptions): Promise<void> {
  const keeper = new Keeper(side, options);
  try {
    await keeper.run();
  } finally {
    keeper.close();
  }
}

class Keeper {
  readonly #side: Side;
  readonly #options: KeeperOptions;
  readonly #paths: SwitchoverPaths;
  readonly #priorityFile: string;
  #caller: Caller | undefined;
  #heldSinceMs: number | undefined;
  #idleSinceMs: number | undefined;
  #silentSinceMs: number | undefined;
  #nudged = false;

  constructor(side: Side, options: KeeperOptions) {
    this.#side = side;
    this.#options = options;
    this.#paths = switchoverPaths(side, options.folder);
    this.#priorityFile = vipPaths(options.vipFolder).priority;
  }

  async run(): Promise<void> {
    let progress: Progress | undefined;
    for (;;) {
      const order = await this.#readOrder();
      if (order === undefined) return;
      const known = progress ?? (await readProgress(this.#paths));
      if (progress === undefined || progress.order.id !== order.id) {
        progress = await this.#begin(order, await this.#handOn(order, known));
      }
      progress = await this.#tick(progress);
      if (progress.phase === "ended") return;
      await pause(PAUSE_MS[progress.phase], this.#options.signal);
    }
  }

  close(): void {
    this.#caller?.stop();
  }

  async #readOrder(): Promise<Order | undefined> {
    const text = await readIfThere(this.#paths.order);
    if (text === undefined) return undefined;
    try {
      return Order.parse(JSON.parse(text));
    } catch (error) {
      // Started again and again it would be no better. The timer undoes what was done.
      this.#options.log.error(`switchover: the order can't be read: ${messageOf(error)}`);
      await rm(this.#paths.order, { force: true });
      return undefined;
    }
  }

  /** What an earlier window hands on to `order`; one that can't is undone first. */
  async #handOn(order: Order, known: Progress | undefined): Promise<Progress | undefined> {
    if (known === undefined || known.order.id === order.id) return known;
    if (known.phase !== "ended" && takesOver(order, known.order)) return known;
    this.#caller?.stop();
    // Also of one that has ended: it may have been killed before it put anything back.
    if (await exists(this.#paths.undo(known.order.id))) {
      await runUndo(this.#paths, known.order.id);
    }
    return undefined;
  }

  /** Prepares `order`, or takes up again what an earlier process of it was at. */
  async #begin(order: Order, known: Progress | undefined): Promise<Progress> {
    const same = known?.order.id === order.id ? known : undefined;
    const before = same?.before ?? (await this.#remember(order, known));
    const nowMs = bootMs();
    const progress: Progress = same ?? {
      order,
      before,
      phase: "preparing",
      because: "",
      sinceMs: nowMs,
      endsAtMs: nowMs + order.limitS * 1000 + (order.side === "new" ? LATER_MS : 0),
      connections: 0,
    };
    await this.#write(progress);
    switch (progress.phase) {
      case "ended":
        return this.#end(progress, progress.because);
      case "preparing":
      case "prepared":
        return this.#prepare(progress);
      case "moving":
        // Killed before keepalived had let go: once more, when the other side hears it again.
        if (heldOf(order.moves).length > 0) return this.#prepare(progress);
        this.#call(order);
        return progress;
      case "moved":
        this.#call(order);
        return progress;
    }
  }

  async #prepare(progress: Progress): Promise<Progress> {
    const { order, before } = progress;
    const addresses = addressesOf(keptMoves(order));
    try {
      const sockets = order.side === "new" ? await readSockets(addresses, { ended: true }) : [];
      const steps = planPreparation(order, before, sockets);
      await this.#writeUndo(progress, steps);
      for (const step of steps) await this.#apply(step);
    } catch (error) {
      return this.#end(progress, `it can't be prepared: ${messageOf(error)}`);
    }
    this.#call(order);
    return this.#enter(progress, "preparing", "");
  }

  /** The script that undoes `steps` and what comes after them; no other one is left. */
  async #writeUndo({ order, before }: Progress, steps: readonly Step[]): Promise<void> {
    const all = order.side === "old" ? [...steps, planHandOver(before)] : steps;
    const self = this.#paths.undo(order.id);
    const { folder, order: orderFile } = this.#paths;
    const files = { priority: this.#priorityFile, folder, order: orderFile, id: order.id, self };
    await this.#options.onStep?.("undo script");
    await writeFileAtomic(self, renderUndo(all, files), { mode: 0o700 });
    // The timer of a window that goes over into this one must undo nothing of it.
    for (const path of await listUndo(this.#side, this.#options.folder)) {
      if (path !== self) await rm(path, { force: true });
    }
  }

  async #apply(step: Step): Promise<void> {
    const what = step.do === "number" ? `number ${step.priority}` : step.do;
    await this.#options.onStep?.(what);
    this.#options.log.notice(`switchover: ${what}: ${step.because}`);
    await applyStep(step, this.#priorityFile);
  }

  /** What is put back in the end; a window that goes over into the next keeps what it remembers. */
  async #remember(order: Order, known: Progress | undefined): Promise<Before> {
    const paths = sysctlsOf(order).map(({ path }) => path);
    const now = await readSysctls(paths);
    const sysctls = { ...now, ...known?.before.sysctls };
    // One that was to move addresses and didn't may have left its own number.
    const unsettled = known !== undefined && known.phase !== "moved";
    const priority = unsettled
      ? known.before.priority
      : (parsePriority(await readIfThere(this.#priorityFile)) ?? WILLING);
    return { sysctls, priority };
  }

  #call(order: Order): void {
    this.#caller?.stop();
    this.#caller = order.side === "old" ? startCalling(keptMoves(order)) : undefined;
    this.#heldSinceMs = this.#idleSinceMs = this.#silentSinceMs = undefined;
  }

  async #tick(last: Progress): Promise<Progress> {
    const { order } = last;
    const kept = keptMoves(order);
    const held = heldOf(order.moves).length;
    const progress = await this.#look(last, held);
    const go = await exists(this.#paths.go);
    const asks = progress.phase === "preparing" || (progress.phase === "prepared" && go);
    const act = decideKeeper({
      ...progress,
      side: order.side,
      nowMs: bootMs(),
      go,
      end: this.#options.signal.aborted || (await exists(this.#paths.end)),
      held,
      of: order.moves.length,
      keeps: kept.length > 0,
      hears: asks && (await this.#hears(kept)),
      nudged: this.#nudged,
      heldSinceMs: this.#heldSinceMs,
      idleSinceMs: this.#idleSinceMs,
      silentSinceMs: this.#silentSinceMs,
    });
    if (act.do === "wait") return progress;
    this.#options.log.notice(`switchover: ${act.do}: ${act.because}`);
    switch (act.do) {
      case "ready":
        return this.#enter(progress, "prepared", act.because);
      case "hand-over": {
        // Written first: whoever takes over after a kill must see that the number may be ours.
        const moving = await this.#enter(progress, "moving", act.because);
        await this.#apply(planHandOver(progress.before));
        return moving;
      }
      case "settle":
        await this.#giveNumberBack(progress.before);
        return this.#enter(await this.#listTheirs(progress), "moved", act.because);
      case "nudge":
        this.#nudged = true;
        await this.#nudge(kept);
        return progress;
      case "end":
        return this.#end(progress, act.because);
    }
  }

  /** Which connections stay here, for the new holder: it can't see those that say nothing. */
  async #listTheirs(progress: Progress): Promise<Progress> {
    if (this.#side === "new") return progress;
    const addresses = addressesOf(keptMoves(progress.order));
    const sockets = await readSockets(addresses, { ended: false });
    await writeList(this.#paths.theirs, sockets);
    return { ...progress, connections: sockets.length };
  }

  /** What a side that keeps connections sees of them. */
  async #look(progress: Progress, held: number): Promise<Progress> {
    if (progress.phase !== "moved") return progress;
    const kept = keptMoves(progress.order);
    const sinceIf = (so: boolean, since: number | undefined) =>
      so ? (since ?? bootMs()) : undefined;
    if (this.#side === "new") {
      const silent = !(await this.#hears(kept));
      this.#silentSinceMs = sinceIf(silent, this.#silentSinceMs);
      if (!silent) this.#nudged = false;
      else if (await isOver(TABLES.new, countLinks(kept))) this.#nudged = true;
      await this.#learnTheirs();
      return progress;
    }
    const connections = (await readSockets(addressesOf(kept), { ended: false })).length;
    this.#heldSinceMs = sinceIf(held > 0, this.#heldSinceMs);
    const idle = connections === 0 && !(await this.#passesOn());
    this.#idleSinceMs = sinceIf(idle, this.#idleSinceMs);
    if (connections === progress.connections) return progress;
    const next = { ...progress, connections };
    await writeFileAtomic(this.#paths.progress, `${JSON.stringify(next)}\n`);
    return next;
  }

  /**
   * Whether this server passes packets on to one that held the addresses before it: those reach it
   * by way of whoever holds them now, for as long as this side is in place.
   */
  async #passesOn(): Promise<boolean> {
    const other = await readProgress(switchoverPaths("new", this.#options.folder));
    return (
      other !== undefined &&
      other.phase === "moved" &&
      other.order.stand === "first" &&
      keptMoves(other.order).length > 0
    );
  }

  async #hears(kept: readonly KeptMove[]): Promise<boolean> {
    return kept.length > 0 && hears(TABLES[this.#side], countLinks(kept));
  }

  /** Takes in which connections the old holder had: some may say nothing until it is gone. */
  async #learnTheirs(): Promise<void> {
    const sockets = await readList(this.#paths.theirs);
    if (sockets === undefined) return;
    await addTheirs(sockets);
    await rm(this.#paths.theirs, { force: true });
  }

  /** Has clients that only listen to a silent server send something, which is answered by a reset. */
  async #nudge(kept: readonly KeptMove[]): Promise<void> {
    const here = new Set(heldOf(kept).map(({ address }) => address));
    const theirs = (await readTheirs()).filter(({ to }) => here.has(to));
    this.#options.log.notice(`switchover: ${theirs.length} connections may have lost their server`);
    await nudge(theirs);
  }

  async #giveNumberBack(before: Before): Promise<void> {
    const because = "the addresses have moved";
    await this.#apply({
      do: "number",
      priority: before.priority,
      before: before.priority,
      because,
    });
  }

  async #enter(progress: Progress, phase: Progress["phase"], because: string): Promise<Progress> {
    const next = { ...progress, phase, because, sinceMs: bootMs() };
    await this.#write(next);
    return next;
  }

  /** Puts all back. The calls end first, so that the other side resets what it can't pass on. */
  async #end(progress: Progress, because: string): Promise<Progress> {
    await this.#caller?.over();
    this.#caller = undefined;
    await this.#options.onStep?.("end");
    const ended = await this.#enter(progress, "ended", because);
    await writeFileAtomic(this.#paths.ended, `${JSON.stringify(ended)}\n`);
    if (this.#side === "old" && progress.phase === "moved") await pause(HUSH_MS);
    await this.#options.onStep?.("undo");
    if (await exists(this.#paths.undo(progress.order.id))) {
      await runUndo(this.#paths, progress.order.id);
    } else {
      await rm(this.#paths.folder, { recursive: true, force: true });
    }
    return ended;
  }

  async #write(progress: Progress): Promise<void> {
    await this.#options.onStep?.(`note ${progress.phase}`);
    await writeFileAtomic(this.#paths.progress, `${JSON.stringify(progress)}\n`);
  }
}

function addressesOf(moves: readonly KeptMove[]): string[] {
  return moves.map(({ address }) => address);
}
