// This server's puppetserver as systemd has it, and its restart: an act that a peer asks for and
// this daemon does after its own look at the record. Danger: whoever asks may be late, so a restart
// names the start that it is to end, and is no second one.

import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readWork } from "../cluster/record.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { isPaused, type Roll } from "../cluster/work.ts";
import type { Etcd } from "../etcd/types.ts";
import { wallMs } from "../host/clock.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { showUnit, unit } from "../host/systemd.ts";
import type { PuppetserverUnit } from "../api/member-app.ts";

export async function readPuppetserverUnit(name: string): Promise<PuppetserverUnit> {
  const shown = await showUnit(name, ["ActiveState", "Result", "InvocationID"]);
  return {
    active: shown["ActiveState"] ?? "inactive",
    result: shown["Result"] ?? "success",
    invocation: shown["InvocationID"] ?? "",
  };
}

export interface RestartHost {
  id: string;
  etcd: Etcd;
  /** Of puppetserver. */
  unitName: string;
  log: Log;
}

/**
 * Has systemd restart puppetserver, if the record says that this member's turn has come, and
 * doesn't wait for it. Throws Fault `roll.not-now`.
 */
export async function restartPuppetserver(
  { id, etcd, unitName, log }: RestartHost,
  asked: { key: string; was: string },
): Promise<PuppetserverUnit> {
  // Read anew: the view may be a moment behind whoever asks.
  const work = await readWork(etcd);
  const { roll } = work;
  const because = isPaused(work, id, wallMs())
    ? `${id} is paused`
    : whyNotNow(roll, { ...asked, id, nowMs: wallMs() });
  if (because !== "") throw new Fault("roll.not-now", because);
  const before = await readPuppetserverUnit(unitName);
  if (before.invocation !== asked.was) return before;
  log.notice(`puppetserver restarts: ${roll?.by} has every server's restarted in turn`);
  await unit("restart", unitName, { noBlock: true });
  return readPuppetserverUnit(unitName);
}

/** The same, of a running daemon's own. */
export async function restartOwn(
  core: Omit<RestartHost, "id" | "unitName"> & { node: NodeFile; layout: PuppetLayout },
  asked: { key: string; was: string },
): Promise<PuppetserverUnit> {
  const { node, layout, etcd, log } = core;
  const unitName = layout.puppetserver.unit;
  return restartPuppetserver({ id: node.id, unitName, etcd, log }, asked);
}

/** Why a restart that is asked for isn't this member's turn; empty when it is. */
export function whyNotNow(
  roll: Roll | undefined,
  asked: { key: string; was: string; id: string; nowMs: number },
): string {
  if (roll === undefined || roll.end !== undefined) return "no roll is under way";
  if (roll.key !== asked.key) return "another roll is under way";
  const { now } = roll;
  if (now?.id !== asked.id) return `the roll is at ${now?.id ?? "no server"}, not at ${asked.id}`;
  if (now.step !== "act" || now.was !== asked.was) return "the roll is at another step";
  return Date.parse(roll.until) > asked.nowMs ? "" : "nobody has driven the roll for a while";
}
