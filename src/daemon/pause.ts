// The commands that pause what Understudy does by itself, and end that: one compared change of the
// record each. The loops look at it before they act.

import type { PauseCommands } from "../api/work-commands.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { findMember } from "../cluster/find-member.ts";
import { updateWork } from "../cluster/record.ts";
import { type Pause, pausesNow, withoutPauses, withPause } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";

/** A longer one would be forgotten: it can be said again. */
const PAUSE_MS_MAX = 7 * 86_400_000;
/** How far the clock of who says it may be ahead. */
const CLOCK_MS = 60_000;

export interface PauseHost {
  etcd: Etcd;
  log: Log;
  /** The members' names. */
  ids(): string[];
  /** Throws Fault `cluster.clock-off` where this clock is too wrong for `what`. */
  requireClock(what: string): void;
  wake(): void;
}

export function pauseCommands(host: PauseHost): PauseCommands {
  const { etcd, log } = host;
  return {
    async pause({ scopes, reason, until }, by) {
      host.requireClock("a pause would end at another time than it says");
      const nowMs = wallMs();
      if (Date.parse(until) <= nowMs) {
        throw new Fault("pause.refused", `${until} is over by this server's clock`);
      }
      if (Date.parse(until) > nowMs + PAUSE_MS_MAX + CLOCK_MS) {
        throw new Fault("pause.refused", "a pause lasts a week at most", {
          hints: ["Say it again before it ends."],
        });
      }
      const meant = scopes.map((scope) => parseScope(scope, host.ids()));
      const work = await updateWork(etcd, (before) =>
        meant.reduce(
          (after, each) =>
            withPause(after, { ...each, by, reason, until, at: isoTime(nowMs) }, nowMs),
          before,
        ),
      );
      host.wake();
      log.notice(`${scopes.join(", ")} paused by ${by}`, { reason, until });
      return { pauses: pausesNow(work, nowMs).filter((pause) => meant.some(isSame(pause))) };
    },
    async resume({ scopes }, by) {
      const nowMs = wallMs();
      const meant = scopes.map((scope) => parseScope(scope, host.ids()));
      const ends = (pause: Pause) => meant.length === 0 || meant.some(isSame(pause));
      let ended: Pause[] = [];
      await updateWork(etcd, (work) => {
        ended = pausesNow(work, nowMs).filter(ends);
        return withoutPauses(work, ends);
      });
      host.wake();
      if (ended.length > 0) log.notice(`${ended.length} pauses were ended by ${by}`);
      return { pauses: ended };
    },
  };
}

/** A scope as people type it: addresses, chores, or a server. Throws Fault `member.…`. */
export function parseScope(text: string, ids: readonly string[]): Pick<Pause, "scope" | "id"> {
  if (text === "addresses" || text === "chores") return { scope: text };
  return { scope: "server", id: findMember(ids, text) };
}

function isSame(pause: Pause) {
  return (other: Pick<Pause, "scope" | "id">) =>
    other.scope === pause.scope && other.id === pause.id;
}
