// The unit that upgrades this server's packages: begun, looked at. The daemon's side of order.ts.

import { makeFolder } from "../host/files.ts";
import { PATHS, UNITS } from "../host/paths.ts";
import { run } from "../host/process.ts";
import { showUnit } from "../host/systemd.ts";
import type { UpgradeJob } from "../cluster/roll.ts";
import type { PackageStep } from "../cluster/work.ts";
import { SYSTEMD_UNITS } from "./job.ts";
import {
  readOrder,
  readResult,
  type UpgradeOrder,
  type UpgradeResult,
  writeOrder,
} from "./order.ts";
import { unitsOf } from "./parts.ts";

/** A server may lose power in the middle of it; a program that dies each time is another matter. */
export const TRIES_MAX = 3;
const START_MS = 10_000;
const REFRESH_MS = 150_000;

/** How far the upgrade of the roll `key` is here. */
export async function readUpgradeJob(key: string, folder = PATHS.upgrade): Promise<UpgradeJob> {
  const { ActiveState: state = "" } = await showUnit(UNITS.upgrade, ["ActiveState"]);
  const runs = ["active", "activating", "deactivating", "reloading"].includes(state);
  return judgeJob(key, await readOrder(folder), await readResult(folder), runs);
}

/** The same, pure. */
export function judgeJob(
  key: string,
  order: UpgradeOrder | undefined,
  result: UpgradeResult | undefined,
  runs: boolean,
): UpgradeJob {
  if (runs) {
    const because = order?.key === key ? "apt works" : "an upgrade from before still works there";
    return { state: "runs", because };
  }
  if (result?.key === key) return { state: result.state, because: result.because };
  if (order?.key === key && order.tries >= TRIES_MAX) {
    const because = `it was interrupted ${TRIES_MAX} times: journalctl -u ${UNITS.upgrade}`;
    return { state: "failed", because };
  }
  return { state: "none", because: order?.key === key ? "it was interrupted" : "it has not begun" };
}

/** Begins the upgrade of the roll `key`, or goes on with it; doesn't wait for its end. */
export async function startUpgrade(key: string, packages: readonly PackageStep[]): Promise<void> {
  const folder = PATHS.upgrade;
  await makeFolder(folder, { mode: 0o700 });
  const former = await readOrder(folder);
  const order =
    former?.key === key
      ? { ...former, tries: former.tries + 1 }
      : { key, packages: [...packages], starts: await startsOf(packages), tries: 1 };
  await writeOrder(folder, order);
  const what = "--description=Understudy upgrade of this server's packages";
  // dpkg isn't to be stopped halfway: told to end, it is waited for.
  const kill = ["--property=KillMode=mixed", "--property=TimeoutStopSec=600"];
  const how = ["--quiet", "--collect", `--unit=${UNITS.upgrade}`, what, ...kill];
  await run(["systemd-run", ...how, "--", "/usr/bin/understudy", "internal", "upgrade"], {
    withinMs: START_MS,
  });
}

async function startsOf(packages: readonly PackageStep[]): Promise<Record<string, string>> {
  const units = unitsOf(packages.map(({ name }) => name));
  const starts = units.map(async (name) => [name, await SYSTEMD_UNITS.start(name)] as const);
  return Object.fromEntries(await Promise.all(starts));
}

/**
 * Has apt read its archives' lists anew, outside the daemon's sandbox. Throws Fault
 * `host.command-failed`.
 */
export async function refreshLists(): Promise<void> {
  // Without error-on, archives that can't be reached are only warned of.
  const apt = ["apt-get", "-q", "--error-on=any", "update"];
  const how = ["--quiet", "--collect", "--wait", "--pipe", "--setenv=LC_ALL=C"];
  await run(["systemd-run", ...how, "--", ...apt], { withinMs: REFRESH_MS });
}
