// Drives the roll that is under way: the member that leads does, and goes on where another one
// stopped. The judgement is cluster/roll.ts. It also takes out of the record what has ended.

import { type Loop, startLoop } from "../base/loop.ts";
import type { Log } from "../base/log.ts";
import { sumPuppetservers } from "../cluster/puppetservers.ts";
import { updateWork } from "../cluster/record.ts";
import { isSamePoint, planRoll, type RollSeen, rollTarget, withAction } from "../cluster/roll.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { drainOf, NO_WORK, type Roll, rollUnderWay, withoutEnded } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import { RELOADING } from "./puppetserver-reload.ts";
import type { RollHands } from "./roll-hands.ts";

const TICK_MS = 1500;

export interface RollHost {
  etcd: Etcd;
  keeper: Pick<ViewKeeper, "current" | "record" | "onChange" | "loop">;
  hands: RollHands;
  status(): Promise<ClusterStatus>;
  leads(): boolean;
  log: Log;
  signal: AbortSignal;
}

export function startRollLoop(host: RollHost): Loop {
  const { keeper, log, signal } = host;
  const loop = startLoop({
    name: "planned work",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      if (!host.leads() || !keeper.record().reachable) return;
      await tidyUp(host);
      const roll = rollUnderWay(keeper.current()?.work ?? NO_WORK);
      if (roll !== undefined) await step(host, roll);
    },
  });
  keeper.onChange(() => loop.wake());
  return loop;
}

async function tidyUp({ etcd, keeper }: RollHost): Promise<void> {
  const view = keeper.current();
  if (view === undefined) return;
  const ids = view.members.map(({ id }) => id);
  const tidy = (work: typeof view.work) => withoutEnded(work, ids, wallMs());
  if (tidy(view.work) === view.work) return;
  await updateWork(etcd, tidy);
}

/** Looks, decides and does one thing. */
async function step(host: RollHost, roll: Roll): Promise<void> {
  const { etcd, keeper, log } = host;
  const action = planRoll(roll, await look(host, roll), wallMs());
  if (action === undefined) return;
  const where = rollTarget(roll) ?? "";
  if (action.do !== "renew") log.notice(`roll: ${action.do} ${where}: ${action.because}`);
  if (action.do === "act") {
    const member = keeper.current()?.members.find(({ id }) => id === where);
    if (member === undefined || roll.now === undefined) return;
    await host.hands.restart(member, { key: roll.key, was: roll.now.was });
    return;
  }
  await updateWork(etcd, (work) =>
    work.roll !== undefined && isSamePoint(work.roll, roll)
      ? { ...work, roll: withAction(work.roll, action, wallMs()) }
      : work,
  );
  keeper.loop.wake();
}

/** What planRoll needs to know. */
async function look(host: RollHost, roll: Roll): Promise<RollSeen> {
  const id = rollTarget(roll) ?? "";
  const { hands } = host;
  const now = await host.status();
  const { unseen, ...facts } = rollFacts(now, id, wallMs());
  const member = now.members.find((each) => each.member.id === id)?.member;
  if (member === undefined || member.phase === "leaving") {
    return { ...facts, member: false, unit: undefined, unwell: "it is no member" };
  }
  const [unit, running = 0, silent] = await Promise.all([
    hands.unit(member),
    hands.running(member),
    hands.unwell(member),
  ]);
  const why = silent || unseen;
  const isCold = why === "" && roll.now?.step === "return" && unit?.active === "active";
  return {
    ...facts,
    member: true,
    unit,
    running: Math.max(facts.running, running),
    unwell: isCold ? await hands.warm(member) : why,
  };
}

/**
 * What edges tell; those that don't answer are left out. `unseen`: one finds its puppetserver dead.
 */
export function rollFacts(
  { members, work }: ClusterStatus,
  id: string,
  nowMs: number,
): Pick<RollSeen, "sent" | "running" | "back" | "others" | "busyElsewhere"> & { unseen: string } {
  const own = members.find(({ member }) => member.id === id)?.member;
  const rows = members.flatMap(({ member, local }) =>
    (local?.edge?.active === true ? local.edge.backends : [])
      .filter((row) => row.member === id)
      .map((row) => ({ ...row, edge: member.id })),
  );
  const isOut =
    drainOf(work, id, nowMs) !== undefined ||
    (own?.backends ?? []).some(({ unfit }) => unfit !== "");
  // The packaged one, which is restarted.
  const first = rows.filter(({ name }) => name === id);
  const lost = first.find(({ state }) => state !== "up" && state !== "drained");
  const others = sumPuppetservers(members).filter(
    ({ member, state }) => member !== id && state === "up",
  );
  const loading = members.find(
    ({ member }) => member.id !== id && member.backends.some(({ unfit }) => unfit === RELOADING),
  );
  return {
    sent: rows.some(({ state }) => state === "up"),
    running: rows.reduce((sum, { busy }) => sum + busy, 0),
    back:
      first.length > 0 &&
      first.every(({ state }) => state === "up" || (isOut && lost === undefined)),
    unseen:
      lost === undefined ? "" : `${lost.edge}'s edge sees it as ${lost.state}: ${lost.because}`,
    others: others.length,
    busyElsewhere: loading?.member.id ?? "",
  };
}
