// Hooks as the daemon runs them: on what this member tells of in its history, as a user of their
// own. Their outcome is history too, and runs no hook.

import type { HookCommands } from "../api/alert-commands.ts";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { HistoryEntry } from "../cluster/history/entry.ts";
import { EVENTS, eventOf } from "../cluster/history/events.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { exists } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import { findOwner } from "../host/users.ts";
import { createHooks, type HookEvent, type Hooks } from "../hooks/hooks.ts";
import type { HookRunner } from "../hooks/run.ts";
import type { History } from "./history.ts";

const USER = "understudy-hooks";
/** How long a hook may run. */
const HOOK_MS = 30_000;
/** How often the folder is looked at while nothing happens. */
const LOOK_TICK_MS = 60_000;

export interface HooksOfDaemon {
  id: string;
  keeper: Pick<ViewKeeper, "current">;
  history: Pick<History, "note" | "onEntry">;
  leads(): boolean;
  /** All that runs here on a timer. */
  loops: Loop[];
  log: Log;
  signal: AbortSignal;
}

/** Runs them from now on, and looks at what there is from time to time. */
export function startHooks(host: HooksOfDaemon): Hooks {
  const hooks = createHooks({
    folder: PATHS.hooks,
    owner: 0,
    withinMs: HOOK_MS,
    runner: findRunner,
    monotonicMs,
    onOutcome(name, event, { ok, because, output, tookMs }, dropped) {
      const lost = dropped === 0 ? "" : `${dropped} events before it were dropped, it is too slow`;
      const said = output === "" || ok ? "" : `it said: ${output}`;
      host.history.note({
        kind: "hook",
        subject: name,
        what: `hook ${name} ${ok ? "ran" : "failed"} on ${event}`,
        because: [because, said, lost].filter((text) => text !== "").join("; "),
        by: `hook ${name}`,
        stages: [{ what: "all of it", ms: tookMs }],
      });
    },
  });
  host.history.onEntry((entry) => {
    if (entry.kind !== "hook") hooks.tell(hookEvent(entry, host));
  });
  const { log, signal } = host;
  const body = async () => void (await hooks.list());
  host.loops.push(startLoop({ name: "hooks", everyMs: LOOK_TICK_MS, log, signal, body }));
  return hooks;
}

/** What hooks are given of an entry. */
export function hookEvent(
  entry: HistoryEntry,
  { id, keeper, leads }: Pick<HooksOfDaemon, "id" | "keeper" | "leads">,
): HookEvent {
  const { kind, subject, what, because, by, member, atMs, seen } = entry;
  const [event, at] = [eventOf(entry), isoTime(atMs)];
  const about = { event, kind, subject: subject ?? member, what, because, by, member, at };
  return {
    event,
    at,
    body: {
      version: 1,
      ...about,
      /** Whether other members tell of the same, and run their own hooks. */
      shared: seen !== undefined,
      server: id,
      leads: leads(),
      cluster: keeper.current()?.settings.sharedName ?? "",
    },
  };
}

async function findRunner(): Promise<HookRunner> {
  if (await exists("/run/systemd/system")) return { by: "systemd", user: USER };
  const owner = await findOwner(USER);
  if (owner !== undefined) return { by: "process", owner };
  return { by: "nobody", because: `there is no user ${USER}` };
}

/** What `understudy hooks …` asks of this member's daemon. */
export function hookCommands(
  hooks: Hooks,
  host: Pick<HooksOfDaemon, "id" | "keeper" | "leads">,
): HookCommands {
  return {
    list: async () => ({ folder: PATHS.hooks, hooks: await hooks.list() }),
    async test({ event }) {
      if (!Object.hasOwn(EVENTS, event)) {
        throw new Fault("hooks.event", `there is no event "${event.slice(0, 60)}"`, {
          hints: [`There are: ${Object.keys(EVENTS).join(", ")}`],
        });
      }
      const entry = {
        atMs: wallMs(),
        member: host.id,
        number: 1,
        kind: event,
        because: "",
        by: "",
      };
      const given = hookEvent({ ...entry, event, what: "a test of this hook" }, host);
      return { results: await hooks.test({ ...given, body: { ...given.body, test: true } }) };
    },
  };
}
