// The sync as a part of the courier: it brings the PuppetDB of this server level with the others by
// itself, after that was down, on a timer and when asked, and says whether it may answer queries.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { messageOf } from "../../base/fault.ts";
import type { Log } from "../../base/log.ts";
import { pause } from "../../base/retry.ts";
import type { SyncRound, SyncStatus } from "../../cluster/sync-status.ts";
import { isoTime, monotonicMs, wallMs } from "../../host/clock.ts";
import type { Health, PuppetDbClient } from "../puppetdb-client.ts";
import { decideSync, judgeStanding, standingAfter, type SyncAct } from "./decide.ts";
import { settledBy } from "./plan.ts";
import { readStarted } from "./read.ts";
import { emptyResult, type RoundResult, runRound } from "./round.ts";
import { type KeptSync, readKeptSync, writeKeptSync } from "./state-file.ts";
import { createTriedMemory } from "./tried.ts";

const TICK_MS = 500;
const STARTED_MS = 3000;
/** What is left alone, in the status. */
const LEFT_SHOWN_MAX = 20;

export interface Sync {
  /** What a look at this server's PuppetDB found; to be called before anybody else hears of it. */
  looked(health: Health): Promise<void>;
  status(): SyncStatus;
  /** Has a round run now, and says which; or why it can't. */
  ask(): { id: string } | { because: string };
  /** It counts as level on an administrator's word. */
  accept(): Promise<void>;
  ended: Promise<void>;
}

export interface SyncDeps {
  stateDir: string;
  here: PuppetDbClient;
  /** Every other PuppetDB, with the newest look at it. */
  others: readonly { client: PuppetDbClient; health: () => Health; filling: boolean }[];
  filling: boolean;
  /** Why it can't be compared now, but for what the sync knows; empty: it can. */
  notReady: () => string;
  /** What it seems to have lost; empty: nothing. */
  lost: () => string;
  /** When a node was deleted, milliseconds since the epoch; what is older isn't brought. */
  deletedAt: (certname: string) => number | undefined;
  log: Log;
  signal: AbortSignal;
}

type Running = NonNullable<SyncStatus["running"]>;

/** Starts it; it goes on until `signal`. */
export async function startSync(deps: SyncDeps): Promise<Sync> {
  const { here, others, log, signal } = deps;
  const path = join(deps.stateDir, "sync.json");
  const tried = createTriedMemory(deps.deletedAt);
  let kept = await readKeptSync(path, log);
  // What was level before it was to fill is another one.
  if (deps.filling && kept.standing === "level") kept = { ...kept, standing: "unknown" };
  /** Whether the PuppetDB is the one that `kept` tells of, and well. */
  let well = false;
  let asked: string | undefined;
  let running: Running | undefined;
  let failures = 0;
  let wasLost = false;
  /** When it was last found to be up again, or to have lost something; since the epoch. */
  let doubtMs = Number.NEGATIVE_INFINITY;
  const beganMs = monotonicMs();
  const at = { ended: undefined as number | undefined, others: beganMs, notReady: beganMs };
  const isSole = others.length === 0;
  /** Whether it is the one that others are measured by: none of them could prove it wrong. */
  const isMeasure = !deps.filling && others.every(({ filling }) => filling);

  const change = (changes: Partial<KeptSync>) => {
    const next = { ...kept, ...changes };
    const { standing, lacks } = next;
    if (standing !== kept.standing) log.info("the sync of PuppetDB", { standing, lacks });
    kept = next;
  };
  const keep = async (changes: Partial<KeptSync>) => {
    change(changes);
    await writeKeptSync(path, kept).catch((error: unknown) => {
      log.warn("what is known of the sync can't be kept", { why: messageOf(error) });
    });
  };
  const answering = () => others.filter(({ health }) => health().readable);
  const round = async (by: SyncRound["by"], every: boolean) => {
    const id = asked ?? randomUUID();
    asked = undefined;
    // An administrator may have mended what was in the way.
    if (by === "hand") tried.forget();
    running = { id, what: "begins", done: 0, of: 0 };
    const startedAt = isoTime(wallMs());
    const result = emptyResult();
    let because = "";
    try {
      const proving = answering().map(({ client, filling }) => ({ client, proves: !filling }));
      await runRound({ ...ownDeps, others: proving, every }, result);
    } catch (error) {
      if (signal.aborted) return;
      because = messageOf(error);
    }
    const last = roundOf({ id, by, startedAt, because, result });
    failures = last.ok ? 0 : failures + 1;
    at.ended = monotonicMs();
    if (!last.ok) log.warn("a sync of PuppetDB didn't get through", { because: last.because });
    const settled = last.ok && kept.standing === "level";
    await keep(settled ? { owed: false, last } : { last });
    running = undefined;
  };
  const ownDeps = {
    here,
    tried,
    onProgress: (what: string, done: number, of: number) => {
      if (running !== undefined) running = { id: running.id, what, done, of };
    },
    onNodes: async (lacks: number, isLevel: boolean) => {
      const standing = standingAfter({ lacks, isLevel, accepted: kept.accepted });
      const isNews = kept.standing !== "level" || kept.accepted;
      if (standing === "level" && isNews) await keep({ standing, lacks: 0, accepted: false });
      if (standing !== "lacks") return;
      change({ standing, lacks });
      await writeKeptSync(path, kept);
    },
    nowMs: wallMs,
    settledMs: () => settledBy(wallMs(), doubtMs),
    signal,
  };
  const act = async (what: SyncAct) => {
    if (what.do === "round") return round(what.by, what.every);
    if (what.do === "wait") return;
    log.notice("PuppetDB answers on the couriers' word alone", { because: what.because });
    await keep({ standing: "level", owed: true });
  };
  const tick = async () => {
    const now = monotonicMs();
    const proving = answering().filter(({ filling }) => !filling);
    if (proving.length > 0) at.others = now;
    const notReady = well ? deps.notReady() : "it isn't well";
    if (notReady !== "") at.notReady = now;
    if (isSole) return;
    const readyMs = now - at.notReady;
    const isLost = deps.lost() !== "";
    if (isLost && !wasLost) {
      doubtMs = wallMs();
      await keep({ owed: true });
    }
    wasLost = isLost;
    await act(
      decideSync({
        standing: kept.standing,
        others: proving.length > 0,
        filling: deps.filling,
        notReady,
        aloneMs: Math.min(now - at.others, readyMs),
        readyMs,
        sinceMs: at.ended === undefined ? undefined : now - at.ended,
        failures,
        owed: kept.owed,
        asked: asked !== undefined,
      }),
    );
  };
  const go = async () => {
    while (!signal.aborted) {
      await tick().catch((error: unknown) => {
        if (!signal.aborted) log.warn("the sync can't go on", { why: messageOf(error) });
      });
      await pause(TICK_MS, signal);
    }
  };
  const ended = go();
  return {
    ended,
    async looked(health) {
      const isWell = health.readable && health.writable;
      if (isWell && well) return;
      well = false;
      const startedMs = await readStarted(here, STARTED_MS, signal);
      // One whose process answers and says that it isn't well has lost its database.
      const wasDown = isWell
        ? startedMs === undefined || startedMs !== kept.startedMs
        : startedMs !== undefined;
      if (wasDown) {
        tried.forget();
        const standing = kept.standing === "lacks" ? "lacks" : "unknown";
        if (standing !== kept.standing || startedMs !== kept.startedMs) {
          const started = startedMs === undefined ? {} : { startedMs };
          await keep({ standing, accepted: false, ...started });
        }
      }
      if (isWell && (wasDown || kept.standing !== "level" || kept.owed)) doubtMs = wallMs();
      well = isWell;
    },
    status() {
      const { lacks, last } = kept;
      const standing = well ? kept.standing : "unknown";
      const waits = asked === undefined ? undefined : { id: asked, what: "waits", done: 0, of: 0 };
      const shown = running ?? waits;
      return {
        standing,
        because: judgeStanding(standing, { lacks, isSole, isMeasure }),
        ...(shown === undefined ? {} : { running: shown }),
        ...(last === undefined ? {} : { last }),
      };
    },
    ask() {
      if (isSole) return { because: "there is no other PuppetDB to compare with" };
      const because = well ? deps.notReady() : "this server's PuppetDB isn't well";
      if (because !== "") return { because };
      if (answering().length === 0) return { because: "no other PuppetDB answers" };
      asked ??= randomUUID();
      return { id: asked };
    },
    accept: async () => keep({ standing: "level", lacks: 0, accepted: true }),
  };
}

function roundOf(given: {
  id: string;
  by: SyncRound["by"];
  startedAt: string;
  because: string;
  result: RoundResult;
}): SyncRound {
  const { result, because, ...rest } = given;
  const failed = [...result.others].filter(([, why]) => why !== "");
  const why = because !== "" ? because : failed.map(([id, each]) => `${id}: ${each}`).join("; ");
  return {
    ...rest,
    endedAt: isoTime(wallMs()),
    ok: because === "" && result.whole,
    because: why !== "" || result.whole ? why : "PuppetDB has not taken everything yet",
    moved: Object.fromEntries(result.moved),
    left: result.left.length,
    leftAlone: result.left.slice(0, LEFT_SHOWN_MAX),
    others: [...result.others].map(([id, each]) => ({ id, because: each })),
  };
}
