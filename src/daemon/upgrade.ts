// Upgrades of packages: the command that plans and begins one for the whole cluster, and this
// server's own part in it, which a peer asks for and this daemon does after its own look at the
// record: packages and versions are the record's, never the peer's.

import { randomUUID } from "node:crypto";
import type { UpgradeCommands } from "../api/work-commands.ts";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { shareNext } from "../base/share-next.ts";
import type { Peers } from "../cluster/peer.ts";
import { readWork, updateWork } from "../cluster/record.ts";
import { DRIVEN_MS, type UpgradeJob } from "../cluster/roll.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import { drillInTheWay, isPaused, type Roll, rollUnderWay, withRoll } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { requireUpgraded } from "../setup/roll-plan.ts";
import { type Looks, planUpgrade, requireAllowed } from "../setup/upgrade-plan.ts";
import type { UpgradeMeant, UpgradePlan } from "../setup/work-contract.ts";
import { lookForUpgrades, UpgradeLook, type LookWish } from "../upgrade/look.ts";
import { movesAddresses, PACKAGES, PARTS } from "../upgrade/parts.ts";
import { readUpgradeJob, refreshLists, startUpgrade } from "../upgrade/unit.ts";
import { whyNotNow } from "./puppetserver-unit.ts";

/** Reading archives' lists anew takes its time, and apt's lock may be another's. */
const LOOK_MS = 170_000;
const FRESH_MS = 120_000;
/** As dpkg allows; nothing else may come into a command line. */
const VERSION = /^[0-9][A-Za-z0-9.+:~-]{0,99}$/;

export interface UpgradeHost {
  etcd: Etcd;
  node: NodeFile;
  peers: Pick<Peers, "call">;
  log: Log;
  status(): Promise<ClusterStatus>;
  /** The record has changed: look now. */
  wake(): void;
}

export function upgradeCommands(host: UpgradeHost): UpgradeCommands {
  const { etcd, log } = host;
  const plan = async (wish: UpgradeMeant) => {
    const status = await host.status();
    return planUpgrade(status, await looksOf(host, status, wish), wish, wallMs());
  };
  return {
    plan,
    async begin({ reason, force, shown, ...wish }, by) {
      const under = rollUnderWay(await readWork(etcd));
      if (under !== undefined) return alreadyThere(under, wish);
      const planned = await plan(wish);
      requireAllowed(planned, force);
      if (planned.steps.length === 0) throw refused("there is nothing to upgrade");
      if (shown !== undefined && packagesIn(shown) !== packagesIn(planned.steps)) {
        throw new Fault("upgrade.refused", "archives have other versions than were shown", {
          hints: ["The same command again shows what it would be now."],
        });
      }
      const nowMs = wallMs();
      const fresh: Roll = {
        key: randomUUID(),
        does: "upgrade",
        upgrade: { ...upgradeOf(planned), everyone: wish.names.length === 0 },
        by,
        at: isoTime(nowMs),
        reason,
        ids: planned.steps.map(({ id }) => id),
        force,
        done: [],
        until: isoTime(nowMs + DRIVEN_MS),
        stop: false,
      };
      const after = await updateWork(etcd, (work) => {
        const paused = fresh.ids.find((id) => isPaused(work, id, nowMs));
        if (paused !== undefined) throw refused(`${paused} is paused`);
        const drill = drillInTheWay(work, nowMs);
        if (drill !== "") throw refused(drill);
        return rollUnderWay(work) === undefined ? withRoll(work, fresh) : work;
      });
      host.wake();
      const now = rollUnderWay(after);
      if (now !== undefined && now.key !== fresh.key) return alreadyThere(now, wish);
      log.notice(`servers are upgraded in turn, for ${by}`, { ids: fresh.ids });
      return { roll: fresh, already: false };
    },
  };
}

/** What is upgraded where, in an order of its own. */
function packagesIn(steps: UpgradePlan["steps"]): string {
  return steps
    .flatMap(({ id, packages }) => packages.map(({ name, to }) => `${id} ${name} ${to}`))
    .toSorted()
    .join("\n");
}

function upgradeOf({ parts, steps }: UpgradePlan): NonNullable<Roll["upgrade"]> {
  const servers = steps.map(({ id, packages }) => {
    return { id, packages, moves: movesAddresses(packages.map(({ name }) => name)) };
  });
  return { parts, servers };
}

/** Somebody was quicker: both watch that one, if it does all that is wished. */
function alreadyThere(roll: Roll, wish: UpgradeMeant): { roll: Roll; already: boolean } {
  if (roll.does === "upgrade") {
    requireUpgraded(roll, wish);
    return { roll, already: true };
  }
  throw new Fault("upgrade.refused", "puppetservers restart one after another now", {
    hints: ["Wait for its end: understudy status"],
  });
}

function refused(because: string): Fault {
  return new Fault("upgrade.refused", because, {
    hints: ["Nothing was changed. See: understudy status, understudy upgrade --dry-run"],
  });
}

/** What each member's apt says; every member is asked, since etcd's versions must fit together. */
async function looksOf(
  host: UpgradeHost,
  { members }: ClusterStatus,
  { parts }: UpgradeMeant,
): Promise<Looks> {
  const body: LookWish = { parts: parts.length === 0 ? [...PARTS] : parts, refresh: true };
  const asked = members.map(async ({ member }) => {
    const look =
      member.id === host.node.id
        ? ownLook(body)
        : host.peers.call(member.address, "/v1/upgrade/look", {
            body,
            answer: UpgradeLook,
            withinMs: LOOK_MS,
          });
    return [member.id, await look.catch((error: unknown) => ({ silent: silence(error) }))] as const;
  });
  return new Map(await Promise.all(asked));
}

function silence(error: unknown): string {
  // A version without this has no such path.
  return isFault(error, "peer.garbled")
    ? "its Understudy is too old for it: apt-get install understudy there"
    : messageOf(error);
}

let refreshedMs = Number.NEGATIVE_INFINITY;

/** Lists that were read a moment ago, for the plan, are fresh; apt reads them once at a time. */
const refreshNowAndThen = shareNext(async () => {
  if (monotonicMs() - refreshedMs < FRESH_MS) return;
  await refreshLists();
  refreshedMs = monotonicMs();
});

export async function ownLook(wish: LookWish): Promise<UpgradeLook> {
  return lookForUpgrades({ refresh: refreshNowAndThen }, wish);
}

export async function ownJob(key: string): Promise<UpgradeJob> {
  return readUpgradeJob(key);
}

/**
 * Has this server's packages upgraded, if the record says that its turn has come, and doesn't wait
 * for it. Throws Fault `roll.not-now`.
 */
export async function upgradeOwn(
  { etcd, node, log }: Pick<UpgradeHost, "etcd" | "node" | "log">,
  key: string,
): Promise<UpgradeJob> {
  const { id } = node;
  // Read anew: the view may be a moment behind whoever asks.
  const work = await readWork(etcd);
  const { upgrade: roll } = work;
  const asked = { key, was: roll?.now?.was ?? "", id, nowMs: wallMs() };
  const because = isPaused(work, id, wallMs()) ? `${id} is paused` : whyNotNow(roll, asked);
  if (because !== "") throw new Fault("roll.not-now", because);
  const packages = roll?.upgrade?.servers.find((each) => each.id === id)?.packages ?? [];
  const strange = packages.find(
    ({ name, to }) => !Object.hasOwn(PACKAGES, name) || !VERSION.test(to),
  );
  if (strange !== undefined) {
    throw new Fault("roll.not-now", `${strange.name} ${strange.to} isn't upgraded by this version`);
  }
  const before = await readUpgradeJob(key);
  if (before.state !== "none") return before;
  log.notice(`this server is upgraded, for ${roll?.by}`, {
    packages: packages.map(({ name, from, to }) => `${name} ${from} → ${to}`),
  });
  await startUpgrade(key, packages);
  return readUpgradeJob(key);
}
