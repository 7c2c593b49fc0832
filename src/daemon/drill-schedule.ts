// Drills that are held by themselves: whoever leads takes a slot, in the record, before it begins
// one, so that each slot is taken once whoever leads. A slot that is refused isn't tried again.

import type { DrillCommands } from "../api/drill-commands.ts";
import { isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import { dueSlots, withSince } from "../cluster/drill-times.ts";
import { updateWork } from "../cluster/record.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { withoutDrill, withSlot } from "../cluster/work.ts";
import { withoutDriver } from "../drill/kinds.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import type { History } from "./history.ts";

const TICK_MS = 10_000;
const BY = "the schedule";
/** A mark that is younger may be one that is being made just now. */
const FRESH_MS = 30_000;

export interface ScheduleHost {
  etcd: Etcd;
  keeper: Pick<ViewKeeper, "current" | "record">;
  node: { id: string };
  drills: Pick<DrillCommands, "begin" | "own">;
  history: Pick<History, "note">;
  leads(): boolean;
  log: Log;
  signal: AbortSignal;
}

export function startDrillSchedule(host: ScheduleHost): Loop {
  const { keeper, log, signal } = host;
  let planned: { drills: ReturnType<typeof withSince>; lookedMs: number } | undefined;
  return startLoop({
    name: "scheduled drills",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      await forgetLost(host);
      const view = keeper.current();
      if (view === undefined) return;
      const { drills: now = [] } = view.settings;
      const drills = planned === undefined ? now : withSince(now, planned.drills, planned.lookedMs);
      planned = { drills, lookedMs: wallMs() };
      if (drills.length === 0 || !host.leads() || !keeper.record().reachable) return;
      const done = view.work.drilled ?? [];
      for (const { drill, slot } of dueSlots(drills, wallMs())) {
        if (!done.includes(slot) && (await takeSlot(host.etcd, slot))) await hold(host, drill.kind);
      }
    },
  });
}

/** Takes away the mark of a drill that this member drove before its daemon was started anew. */
async function forgetLost(host: ScheduleHost): Promise<void> {
  const { etcd, keeper, node, drills, history, log } = host;
  const mark = keeper.current()?.work.drill;
  if (mark?.driver !== node.id || !keeper.record().reachable) return;
  const { id, running } = drills.own.progress();
  if (running && id === mark.id) return;
  if (wallMs() - Date.parse(mark.at) < FRESH_MS) return;
  let taken = false;
  await updateWork(etcd, (work) => {
    const after = withoutDrill(work, mark.id);
    taken = after !== work;
    return after;
  });
  // One that this daemon drove to its end has told so: the record was away then.
  if (!taken || id === mark.id) return;
  const because = `its driver's daemon ended meanwhile: ${withoutDriver(mark.kind)}`;
  log.warn(`drill ${mark.id}: ${because}`);
  const what = `drill ${mark.kind} at ${mark.server} (${mark.id}) has no report`;
  history.note({ kind: "drill", what, because, by: mark.by });
}

/** Whether it was still there to be taken; two may ask at once. */
export async function takeSlot(etcd: Etcd, slot: string): Promise<boolean> {
  let taken = false;
  await updateWork(etcd, (work) => {
    const after = withSlot(work, slot);
    taken = after !== undefined;
    return after ?? work;
  });
  return taken;
}

async function hold(
  { drills, history, log }: ScheduleHost,
  kind: Parameters<DrillCommands["begin"]>[0]["kind"],
) {
  try {
    await drills.begin({ kind }, BY);
  } catch (error) {
    const because = messageOf(error);
    log.warn(`the scheduled drill ${kind} isn't held: ${because}`);
    const what = `the scheduled drill ${kind} was not held`;
    history.note({ kind: "drill", what, because, by: BY });
    if (!isFault(error, "drill")) throw error;
  }
}
