// The commands that begin, show and stop a roll: compared changes of the record. Whoever leads
// drives it, so it outlives the command, this daemon and this server.

import { randomUUID } from "node:crypto";
import type { RollCommands } from "../api/work-commands.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readWork, updateWork } from "../cluster/record.ts";
import { DRIVEN_MS } from "../cluster/roll.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { newestRoll, type Roll, rollUnderWay, withRoll } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { planRestarts, renderRollPlan, requireRestarted, rollIds } from "../setup/roll-plan.ts";

export interface RollCommandsHost {
  etcd: Etcd;
  log: Log;
  status(): Promise<ClusterStatus>;
  /** The record has changed: look now. */
  wake(): void;
}

export function rollCommands(host: RollCommandsHost): RollCommands {
  const { etcd, log } = host;
  return {
    async plan(wish) {
      const status = await host.status();
      return planRestarts(status, rollIds(status, wish), wallMs());
    },
    async begin({ reason, force, ...wish }, by) {
      const status = await host.status();
      const nowMs = wallMs();
      const key = randomUUID();
      const after = await updateWork(etcd, (work) => {
        const underWay = rollUnderWay(work);
        if (underWay?.does === "upgrade") throw upgraded();
        // Somebody was quicker: both watch that one, if it does all of it.
        if (underWay !== undefined) {
          if (!wish.rest) requireRestarted(underWay, rollIds({ ...status, work }, wish));
          return work;
        }
        const ids = rollIds({ ...status, work }, wish);
        const plan = planRestarts({ ...status, work }, ids, nowMs);
        if (plan.refused !== "" && !force) throw refused(plan.refused, renderRollPlan(plan));
        if (ids.length === 0) throw refused("no member has a puppetserver that edges know", "");
        const fresh: Roll = {
          key,
          does: "restart",
          by,
          at: isoTime(nowMs),
          reason,
          ids,
          force,
          done: [],
          until: isoTime(nowMs + DRIVEN_MS),
          stop: false,
        };
        return withRoll(work, fresh);
      });
      host.wake();
      const roll = rollUnderWay(after);
      if (roll === undefined) throw new Fault("internal", "a roll was begun, and isn't there");
      const already = roll.key !== key;
      if (!already) log.notice(`puppetservers restart in turn, for ${by}`, { ids: roll.ids });
      return { roll, already };
    },
    async show() {
      const roll = newestRoll(await readWork(etcd));
      return roll === undefined ? {} : { roll };
    },
    async stop(by) {
      const after = await updateWork(etcd, (work) => {
        const current = rollUnderWay(work);
        return current === undefined
          ? work
          : withRoll(work, { ...current, stop: true, stopBy: by });
      });
      host.wake();
      const roll = newestRoll(after);
      log.notice(`the roll was stopped by ${by}`);
      return roll === undefined ? {} : { roll };
    },
  };
}

function upgraded(): Fault {
  return new Fault("roll.refused", "servers are upgraded one after another now", {
    hints: ["Wait for its end: understudy status"],
  });
}

function refused(because: string, plan: string): Fault {
  const hints = plan.split("\n").slice(0, -1);
  return new Fault("roll.refused", because, {
    hints: [...hints, "If that is meant: the same command with --force"],
  });
}
