// Upgrades this server's packages as ordered, and restarts what runs them; started by the daemon as
// a unit of its own (understudy-upgrade.service), which outlives the daemon. Danger: it replaces
// the very files that it was loaded from, so it loads nothing more once it has begun. Begun again
// it goes on: packages that have their version, and units that have restarted, are left alone.

import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { UNITS } from "../host/paths.ts";
import { showUnit, unit } from "../host/systemd.ts";
import { type AptHost, finishInterrupted, install, readInstalled } from "./apt.ts";
import {
  readOrder,
  type UpgradeOrder,
  type UpgradeResult,
  writeOrder,
  writeResult,
} from "./order.ts";
import { explainApt } from "./parse.ts";
import { unitsOf } from "./parts.ts";
import { compareVersions } from "./version.ts";

/** puppetserver's unit gives it 300 s. */
const RESTART_MS = 360_000;
/** It goes into the record. */
const BECAUSE_MAX = 1000;

export interface UpgradeHost extends AptHost {
  /** Where it is told what to do. */
  folder: string;
  units: {
    /** Which start of `unit` runs now; empty: it doesn't. */
    start(unit: string): Promise<string>;
    /** Has it run the new program; waits until it does. */
    renew(unit: string): Promise<void>;
  };
  log: Log;
}

/** Does what is ordered, and leaves what came of it. Undefined: there is no order. */
export async function runUpgrade(host: UpgradeHost): Promise<UpgradeResult | undefined> {
  const { folder, log } = host;
  const order = await readOrder(folder);
  if (order === undefined) return undefined;
  const { key } = order;
  let result: UpgradeResult;
  try {
    await upgrade(host, order);
    result = { key, state: "done", because: "" };
  } catch (error) {
    result = { key, state: "failed", because: messageOf(error).slice(0, BECAUSE_MAX) };
  }
  await writeResult(folder, result);
  log.notice(`the upgrade of this server: ${result.state}`, { because: result.because });
  return result;
}

async function upgrade(host: UpgradeHost, order: UpgradeOrder): Promise<void> {
  const { log, units } = host;
  const left = await finishInterrupted(host);
  if (left?.ok === false) throw new Error(`dpkg --configure -a: ${explainApt(left.stderr)}`);
  const todo = await notYet(host, order);
  const starts = todo.length > 0 ? await startsAnew(host, order) : order.starts;
  if (todo.length > 0) {
    log.notice("packages are upgraded", { packages: todo.map(({ name, to }) => `${name} ${to}`) });
    const said = await install(host, todo);
    process.stderr.write(said.stdout + said.stderr);
    if (!said.ok) {
      const why = said.timedOut ? "apt-get didn't end in time" : explainApt(said.stderr);
      throw new Error(why);
    }
    const still = await notYet(host, order);
    if (still.length > 0) {
      throw new Error(`apt-get left ${still.map(({ name }) => name).join(", ")} as it was`);
    }
  }
  // One that doesn't come up mustn't leave the others with the former program.
  const failed: string[] = [];
  for (const name of unitsOf(order.packages.map((each) => each.name))) {
    const before = starts[name];
    const now = await units.start(name);
    // What didn't run is nobody's wish to start; what has started since runs the new program.
    if (before === undefined || before === "" || (now !== "" && now !== before)) continue;
    log.notice(`${name} takes the new program`);
    await units.renew(name).catch((error: unknown) => failed.push(messageOf(error)));
  }
  if (failed.length > 0) throw new Error(failed.join("; "));
}

/**
 * Which start each unit has now that ran before: a server that has booted since runs the former
 * program anew. Kept, since it may boot again.
 */
async function startsAnew(
  { folder, units }: UpgradeHost,
  order: UpgradeOrder,
): Promise<Record<string, string>> {
  const starts = { ...order.starts };
  for (const [name, before] of Object.entries(starts)) {
    if (before !== "") starts[name] = (await units.start(name)) || before;
  }
  await writeOrder(folder, { ...order, starts });
  return starts;
}

/** The packages that are older than ordered. */
async function notYet(host: AptHost, { packages }: UpgradeOrder) {
  const names = packages.map(({ name }) => name);
  const installed = new Map((await readInstalled(host, names)).map((each) => [each.name, each]));
  return packages.filter(({ name, to }) => {
    const has = installed.get(name);
    if (has === undefined) throw new Error(`${name} isn't installed any more`);
    return !has.whole || compareVersions(has.version, to) < 0;
  });
}

/** Units as systemd has them. The edge is reloaded: HAProxy runs its new program by that too. */
export const SYSTEMD_UNITS: UpgradeHost["units"] = {
  async start(name) {
    const shown = await showUnit(name, ["ActiveState", "InvocationID"]);
    const runs = ["active", "reloading", "activating"].includes(shown["ActiveState"] ?? "");
    return runs ? (shown["InvocationID"] ?? "") : "";
  },
  renew: async (name) =>
    renewUnit(name, async (verb) => unit(verb, name, { withinMs: RESTART_MS })),
};

/**
 * Has `name` run the new program. One that failed to start is started once more: Debian's
 * puppetserver fails so on a busy machine (puppetserver/start.ts).
 */
export async function renewUnit(
  name: string,
  act: (verb: "reload-or-restart" | "restart" | "start") => Promise<void>,
): Promise<void> {
  // What didn't take a reload runs still: no start would mend it, nor say that it failed.
  if (name === UNITS.edge) await act("reload-or-restart");
  else await act("restart").catch(async () => act("start"));
}
