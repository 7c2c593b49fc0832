// Drives the roll that is under way: the member that leads does, and goes on where another one
// stopped. The judgement is cluster/roll.ts. It also takes out of the record what has ended.

import { messageOf } from "../base/fault.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { Log } from "../base/log.ts";
import { packagedOf } from "../cluster/backends.ts";
import { sumPuppetservers } from "../cluster/puppetservers.ts";
import { updateWork } from "../cluster/record.ts";
import { RollMemory } from "../cluster/roll-memory.ts";
import {
  isLacking,
  isSamePoint,
  planRoll,
  type RollAction,
  type RollRemembered,
  type RollSeen,
  rollTarget,
  withAction,
} from "../cluster/roll.ts";
import type { Member } from "../cluster/schema.ts";
import { sumPuppetdbs } from "../cluster/courier-status.ts";
import { type ClusterStatus, isVoting } from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { wellParts } from "../cluster/well.ts";
import {
  drainOf,
  givesAway,
  isPaused,
  NO_WORK,
  type Roll,
  rollUnderWay,
  sameRoll,
  withoutEnded,
  withRoll,
} from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { quorumOf } from "../etcd/voters.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { addressesOf, heirsOf, mayRunUntold } from "../setup/drain-plan.ts";
import { restartsPuppetserver } from "../upgrade/parts.ts";
import { RELOADING } from "./puppetserver-reload.ts";
import type { RollHands } from "./roll-hands.ts";

const TICK_MS = 1500;
const MOVE_AGAIN_MS = 20_000;
/** It goes into the record. */
const BECAUSE_MAX = 1000;

export interface RollHost {
  etcd: Etcd;
  keeper: Pick<ViewKeeper, "current" | "record" | "onChange" | "loop">;
  hands: RollHands;
  status(): Promise<ClusterStatus>;
  leads(): boolean;
  /** Whether this server's clock is about as most others' are. */
  clockIsRight(): boolean;
  log: Log;
  signal: AbortSignal;
}

export function startRollLoop(host: RollHost): Loop {
  const { keeper, log, signal } = host;
  const moveAway = moverOf(host);
  const memory = new RollMemory();
  const loop = startLoop({
    name: "planned work",
    everyMs: TICK_MS,
    log,
    signal,
    body: async () => {
      if (!host.leads() || !keeper.record().reachable) {
        memory.turnTo(undefined);
        return;
      }
      await tidyUp(host);
      const roll = rollUnderWay(keeper.current()?.work ?? NO_WORK);
      if (roll !== undefined) await step({ ...host, moveAway, memory }, roll);
    },
  });
  keeper.onChange(() => loop.wake());
  return loop;
}

interface Driver extends RollHost {
  memory: RollMemory;
  moveAway(move: Move): Promise<void>;
}

type Move = Extract<RollAction, { do: "move" }>;

/** Moves addresses away, not at every look: what refuses it now may refuse it in a second too. */
function moverOf(host: RollHost): (move: Move) => Promise<void> {
  let failedMs = Number.NEGATIVE_INFINITY;
  return async ({ id, addresses }) => {
    if (monotonicMs() - failedMs < MOVE_AGAIN_MS) return;
    const heirs = heirsOf(await host.status(), id, wallMs());
    const { breaks } =
      heirs.length === 0 ? { breaks: "nobody else" } : await host.hands.handOver(addresses, heirs);
    if (breaks === "") return;
    failedMs = monotonicMs();
    host.log.warn(`${addresses.join(", ")} can't be moved before ${id} is upgraded: ${breaks}`);
  };
}

async function tidyUp(host: RollHost): Promise<void> {
  const { etcd, keeper } = host;
  const view = keeper.current();
  // By a wrong clock everything has ended that somebody still works under.
  if (view === undefined || !host.clockIsRight()) return;
  const ids = view.members.map(({ id }) => id);
  const tidy = (work: typeof view.work) => withoutEnded(work, ids, wallMs());
  if (tidy(view.work) === view.work) return;
  await updateWork(etcd, tidy);
}

/** Looks, decides and does one thing. */
async function step(host: Driver, roll: Roll): Promise<void> {
  const { etcd, keeper, log } = host;
  const action = planRoll(roll, await look(host, roll), wallMs());
  if (action === undefined) return;
  const where = rollTarget(roll) ?? "";
  if (action.do === "move") {
    host.memory.moves(monotonicMs());
    await host.moveAway(action);
    return;
  }
  if (action.do !== "renew") log.notice(`roll: ${action.do} ${where}: ${action.because}`);
  if (action.do === "act") {
    await act(host, roll);
    return;
  }
  await updateWork(etcd, (work) => {
    const now = sameRoll(work, roll);
    return now !== undefined && isSamePoint(now, roll)
      ? withRoll(work, withAction(now, action, wallMs()))
      : work;
  });
  keeper.loop.wake();
}

/** Has done what the roll is for. What refuses it may do so for good: the step's limit ends that. */
async function act({ keeper, hands, memory, log }: Driver, roll: Roll): Promise<void> {
  const { now, key } = roll;
  const member = keeper.current()?.members.find(({ id }) => id === now?.id);
  if (member === undefined || now === undefined) return;
  const acts =
    roll.does === "upgrade"
      ? hands.upgrade(member, key)
      : hands.restart(member, { key, was: now.was });
  const refused = await acts.then(() => "", messageOf);
  if (refused !== "" && refused !== memory.refused) log.warn(`roll: ${member.id}: ${refused}`);
  memory.refused = refused.slice(0, BECAUSE_MAX);
}

/** What planRoll needs to know. */
async function look(host: Driver, roll: Roll): Promise<RollSeen> {
  const id = rollTarget(roll) ?? "";
  const { hands, memory } = host;
  memory.turnTo(roll);
  const now = await host.status();
  const { unseen, ...facts } = rollFacts(now, id, wallMs());
  const answer = now.members.find((each) => each.member.id === id);
  if (answer === undefined || answer.member.phase === "leaving") {
    const none = { unit: undefined, well: [], addresses: [], unwell: "it is no member" };
    return { ...facts, ...none, ...memory.recall(monotonicMs()), member: false };
  }
  const { member } = answer;
  const isUpgrade = roll.does === "upgrade";
  const [unit, running, silent, job] = await Promise.all([
    hands.unit(member),
    hands.running(member),
    hands.unwell(member),
    isUpgrade ? hands.job(member, roll.key) : undefined,
  ]);
  const why = silent || unseen;
  const isCold = why === "" && roll.now?.step === "return" && unit?.active === "active";
  const fit = new Set(sumPuppetdbs(now.members).flatMap((each) => (each.fit ? [each.id] : [])));
  const seen = {
    ...facts,
    member: true,
    unit,
    job,
    // Where nobody else could take them they stay, and go with what holds them for a moment.
    addresses:
      givesAway(roll, id) && heirsOf(now, id, wallMs()).length > 0 ? addressesOf(now, id) : [],
    well: isUpgrade ? wellParts(answer, { fit, serves: facts.serves && silent === "" }) : [],
    running: Math.max(facts.running, running ?? 0),
    untold: running === undefined && mayRunUntold(now, id),
    unwell: isCold ? await hands.warm(member) : why,
    apart: leftApart(roll, member),
  };
  memory.looked(isLacking(roll, seen), monotonicMs());
  return { ...seen, ...memory.recall(monotonicMs()) };
}

/** The member's puppetservers whose units aren't known, where the roll restarts the packaged one. */
export function leftApart(
  { does, upgrade }: Pick<Roll, "does" | "upgrade">,
  member: Member,
): string[] {
  const packages = upgrade?.servers.find(({ id }) => id === member.id)?.packages ?? [];
  if (does === "upgrade" && !restartsPuppetserver(packages.map(({ name }) => name))) return [];
  const packaged = packagedOf(member)?.name;
  return member.backends.map(({ name }) => name).filter((name) => name !== packaged);
}

type RollFacts = Omit<
  RollSeen,
  | "member"
  | "unit"
  | "job"
  | "unwell"
  | "addresses"
  | "well"
  | "apart"
  | "untold"
  | keyof RollRemembered
> & { unseen: string };

/**
 * What edges tell; those that don't answer are left out. `unseen`: one finds its puppetserver dead.
 */
export function rollFacts(
  { members, work, etcd }: ClusterStatus,
  id: string,
  nowMs: number,
): RollFacts {
  const own = members.find(({ member }) => member.id === id)?.member;
  const votes = isVoting(members.find(({ member }) => member.id === id)?.local);
  const serves = (own?.backends ?? []).length > 0;
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
    paused: isPaused(work, id, nowMs),
    sent: rows.some(({ state }) => state === "up"),
    running: rows.reduce((sum, { busy }) => sum + busy, 0),
    serves,
    quorumWithout: !votes || etcd.voters === 1 || etcd.answering - 1 >= quorumOf(etcd.voters),
    back:
      !serves ||
      (first.length > 0 &&
        first.every(({ state }) => state === "up" || (isOut && lost === undefined))),
    unseen:
      lost === undefined ? "" : `${lost.edge}'s edge sees it as ${lost.state}: ${lost.because}`,
    others: others.length,
    busyElsewhere: loading?.member.id ?? "",
  };
}
