// Drives one drill to its end: measures, has it done, waits until the cluster is as it was, writes
// the report. The judgement is drill/*.ts. Danger: whatever throws on the way, what was done must
// be undone and the mark taken away; should this daemon die, a timer of systemd's does the one, the
// mark's own end the other.

import type { SwitchoverCommands } from "../api/local-app.ts";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import type { DrillKind } from "../cluster/drill.ts";
import type { ClusterStatus } from "../cluster/status.ts";
import type { DrillActs } from "../drill/acts.ts";
import { changedStates, notBack, stillWorse, watchedStates } from "../drill/health.ts";
import { type Figures, judgeSamples } from "../drill/judge.ts";
import { AFTER_MS, KINDS, RECOVER_MS, STEADY_MS } from "../drill/kinds.ts";
import { moveTo } from "../drill/plan.ts";
import type { ProbeAccess } from "../drill/probe.ts";
import { type Prober, startProber } from "../drill/prober.ts";
import { type DrillReport, makeReport } from "../drill/report.ts";
import type { Sighting } from "../drill/samples.ts";

const GLANCE_EVERY_MS = 100;
const STATUS_EVERY_MS = 1000;
/** How long the first catalog is waited for before anything is done. */
const FIRST_MS = 60_000;
/** Catalogs that are under way at the end get so long. */
const DRAIN_MS = 20_000;
const SIGHTINGS_MAX = 200;
/** How long connections of a move are kept. */
const MOVE_LIMIT_S = 60;
/** How long a drill that was stopped or failed waits for what it broke to be back. */
const SETTLE_MS = 120_000;
/** What is seen twice within this is one thing: here by a glance, then in the status. */
const SAME_MS = 5000;
/** So long after the thing may be back it is measured as closely as before. */
const BUSY_MS = 15_000;
/** Two looks in a row must find it as before. */
const WELL_TIMES = 2;

export interface DrillRun {
  id: string;
  kind: DrillKind;
  server: string;
  by: string;
}

export interface DrillHost {
  driver: string;
  status(): Promise<ClusterStatus>;
  /** What is cheap to see of this server and its edge, by name. */
  glance(): Promise<Map<string, string>>;
  access(server: string): Promise<ProbeAccess>;
  actsOf(server: string): DrillActs;
  switchover: SwitchoverCommands;
  now(): number;
  log: Log;
}

/** Holds it. Never throws: what went wrong is in the report. */
export async function holdDrill(
  host: DrillHost,
  run: DrillRun,
  tell: (line: string) => void,
  stop: AbortSignal,
): Promise<DrillReport> {
  const startMs = host.now();
  const steps: Sighting[] = [];
  const step = (what: string) => {
    steps.push({ atMs: host.now(), what });
    tell(what);
  };
  const held: Held = { actMs: undefined, samples: undefined, target: "", before: undefined };
  let outcome: DrillReport["outcome"] = "done";
  let because = "";
  try {
    await hold(host, run, { held, step, stop });
  } catch (error) {
    outcome = stop.aborted ? "stopped" : "failed";
    because = stop.aborted ? reasonOf(stop) : messageOf(error);
    step(outcome === "stopped" ? `stopped: ${because}` : `failed: ${because}`);
  }
  const settleMs = outcome === "done" || held.actMs === undefined ? 0 : SETTLE_MS;
  const left = await leftOf(host, run, { before: held.before, settleMs });
  const { actMs, samples = NO_SAMPLES } = held;
  const figures: Figures | undefined =
    actMs === undefined ? undefined : judgeSamples(samples, actMs);
  return makeReport({
    ...run,
    driver: host.driver,
    outcome,
    because,
    startMs,
    ...(actMs !== undefined && { actMs }),
    endMs: host.now(),
    target: held.target,
    figures,
    steps,
    left,
    samples,
  });
}

function reasonOf({ reason }: AbortSignal): string {
  return typeof reason === "string" ? reason : "the daemon here stops";
}

const NO_SAMPLES = { connects: [], catalogs: [], kept: [], sightings: [], replays: 0 };

interface Held {
  actMs: number | undefined;
  samples: Parameters<typeof judgeSamples>[0] | undefined;
  target: string;
  before: ClusterStatus | undefined;
}

interface Course {
  held: Held;
  step: (what: string) => void;
  stop: AbortSignal;
}

async function hold(host: DrillHost, run: DrillRun, { held, step, stop }: Course): Promise<void> {
  held.before = await host.status();
  const access = await host.access(run.server);
  held.target = `${access.host}:${access.port}`;
  const to = moveTo(held.before, [run.server, host.driver]);
  // On a side of a move its own connections break, as nobody else's do.
  const apart = run.kind !== "vip-move" || (run.server !== host.driver && to !== undefined);
  const prober = startProber(access, { keep: apart });
  const watch = startWatch(host, prober);
  try {
    step(`measures at ${held.target} what is usual`);
    await wait(STEADY_MS, stop);
    // The first catalog of a puppetserver takes its time.
    const endMs = host.now() + FIRST_MS;
    while (prober.catalogs.length === 0 && host.now() < endMs) await wait(GLANCE_EVERY_MS, stop);
    requireSteady(prober);
    await act(host, run, { held, step, stop, to });
    step("waits until the cluster is as it was before");
    await untilWell(host, held, { run, stop, prober });
    step("the cluster is as it was before");
    await wait(AFTER_MS, stop);
  } finally {
    if (held.actMs !== undefined && run.kind !== "vip-move") {
      const { id, kind, server } = run;
      // The timer on the server does it as well, where this can't reach it.
      await host
        .actsOf(server)
        .undo({ id, kind })
        .catch((error: unknown) => {
          host.log.warn(`drill ${id}: ${server} can't be asked to undo it: ${messageOf(error)}`);
        });
    }
    await prober.stop(DRAIN_MS);
    const seen = await watch.stop();
    const { connects, catalogs, kept } = prober;
    held.samples = { connects, catalogs, kept, ...seen };
  }
}

/** Has it done, and notes when that was. `to`: where an address is moved. */
async function act(
  host: DrillHost,
  run: DrillRun,
  { held, step, stop, to }: Course & { to: string | undefined },
): Promise<void> {
  const { id, kind, server } = run;
  if (kind !== "vip-move") {
    // Should the answer be lost, it may have been done.
    held.actMs = host.now();
    try {
      const { agoMs } = await host.actsOf(server).act({ id, kind });
      held.actMs = host.now() - agoMs;
    } catch (error) {
      // Refused there: what doesn't run by somebody's wish must not be started by an undoing.
      if (isFault(error, "drill")) held.actMs = undefined;
      throw error;
    }
    step(`${server}: ${KINDS[kind].does}`);
    return;
  }
  held.actMs = host.now();
  const address = held.target.slice(0, held.target.lastIndexOf(":"));
  const ask = { address, force: true, limitS: MOVE_LIMIT_S };
  const moved = await host.switchover.run({ ...ask, ...(to === undefined ? {} : { to }) });
  step(`${moved.addresses.join(", ")} moved to ${moved.to} in ${Math.round(moved.tookMs)} ms`);
  // Also when somebody stops it: the way back is part of it.
  await pause(AFTER_MS, stop);
  const back = await host.switchover.run({ ...ask, to: server });
  step(`and back to ${back.to} in ${Math.round(back.tookMs)} ms`);
}

/** Throws Fault `drill.failed` where the synthetic agent gets nothing before anything was done. */
function requireSteady({ catalogs, kept, connects }: Prober): void {
  const all = [...connects, ...catalogs, ...kept];
  const failed = all.find(({ ok }) => !ok);
  if (failed === undefined && catalogs.some(({ ok }) => ok)) return;
  const why = failed?.because ?? "no catalog came";
  throw new Fault(
    "drill.failed",
    `nothing was done: the synthetic agent already fails before (${why}): understudy probe --once`,
  );
}

/** Waits until the thing is back, and all is as it was. Throws Fault `drill.failed` in the end. */
async function untilWell(
  host: DrillHost,
  { before, actMs = host.now() }: Held,
  { run, stop, prober }: { run: DrillRun; stop: AbortSignal; prober: Prober },
): Promise<void> {
  const backMs = actMs + KINDS[run.kind].holdS * 1000;
  await wait(backMs - host.now(), stop);
  const endMs = host.now() + RECOVER_MS;
  let well = 0;
  while (well < WELL_TIMES) {
    const worse = before === undefined ? [] : worseNow(run, before, await host.status());
    well = worse.length === 0 ? well + 1 : 0;
    if (host.now() > backMs + BUSY_MS) prober.calm();
    if (host.now() > endMs) {
      throw new Fault("drill.failed", `it isn't as it was before: ${worse[0] ?? "unknown"}`);
    }
    await wait(STATUS_EVERY_MS, stop);
  }
}

/** What is worse than before, after it was waited for so long at most. */
async function leftOf(
  host: DrillHost,
  run: DrillRun,
  { before, settleMs }: { before: ClusterStatus | undefined; settleMs: number },
): Promise<string[]> {
  if (before === undefined) return [];
  const endMs = host.now() + settleMs;
  for (;;) {
    const worse = await host.status().then(
      (now) => worseNow(run, before, now),
      (error: unknown) => [`how it is now can't be told: ${messageOf(error)}`],
    );
    if (worse.length === 0 || host.now() >= endMs) return worse;
    await pause(STATUS_EVERY_MS);
  }
}

function worseNow({ kind, server }: DrillRun, before: ClusterStatus, now: ClusterStatus): string[] {
  const worse = stillWorse(before, now);
  return kind === "vip-move" ? [...worse, ...notBack(before, now, server)] : worse;
}

/** Looks at the cluster all the while: what changes, and how many requests edges sent on. */
function startWatch(host: DrillHost, prober: Prober) {
  const over = new AbortController();
  const sightings: Sighting[] = [];
  const edges = new Map<string, number>();
  let replays = 0;
  const note = (what: string) => {
    const atMs = prober.now();
    const isSame = (each: Sighting) => each.what === what && atMs - each.atMs < SAME_MS;
    if (sightings.length < SIGHTINGS_MAX && !sightings.some(isSame)) sightings.push({ atMs, what });
  };
  const watch = async (everyMs: number, look: () => Promise<Map<string, string>>) => {
    let before: Map<string, string> | undefined;
    while (!over.signal.aborted) {
      const now = await look().catch(() => undefined);
      const changes = before === undefined || now === undefined ? [] : changedStates(before, now);
      for (const what of changes) note(what);
      before = now === undefined ? before : new Map([...(before ?? []), ...now]);
      await pause(everyMs, over.signal);
    }
  };
  const count = ({ members }: ClusterStatus) => {
    for (const { member, local } of members) {
      const so = local?.edge?.replays;
      if (so === undefined) continue;
      // It counts from 0 again where HAProxy was started anew.
      replays += Math.max(0, so - (edges.get(member.id) ?? so));
      edges.set(member.id, so);
    }
  };
  const watching = [
    watch(GLANCE_EVERY_MS, async () => host.glance()),
    watch(STATUS_EVERY_MS, async () => {
      const status = await host.status();
      count(status);
      return watchedStates(status);
    }),
  ];
  return {
    async stop() {
      over.abort();
      await Promise.all(watching);
      return { sightings: sightings.toSorted((a, b) => a.atMs - b.atMs), replays };
    },
  };
}

/** Throws when `stop` comes meanwhile. */
async function wait(ms: number, stop: AbortSignal): Promise<void> {
  if (ms > 0) await pause(ms, stop);
  if (stop.aborted) throw new Fault("drill.failed", "it was stopped");
}
