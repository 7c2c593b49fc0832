// Executables in a folder that are run on events. Each runs once at a time and has a queue of its
// own, which drops its oldest events and counts them. Nothing waits for a hook, and a hook's own
// outcome runs none.

import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import { type Warning, warning } from "../cluster/warning.ts";
import { isMissing } from "../host/files.ts";
import {
  HOOKS_MAX,
  type HookFile,
  type HookVerdict,
  isForeign,
  judgeFolder,
  judgeHook,
} from "./judge.ts";
import { type HookOutcome, type HookRunner, runHook } from "./run.ts";

/** Events that wait for one hook. */
export const WAITING_MAX = 50;

/** What a hook is given: an event with its name, and the JSON of it. */
export interface HookEvent {
  event: string;
  /** ISO time. */
  at: string;
  body: Readonly<Record<string, unknown>>;
}

export interface HookShown {
  name: string;
  runs: boolean;
  because: string;
  waiting: number;
  dropped: number;
  last?: HookOutcome & { event: string; at: string };
}

export interface Hooks {
  /** Hands an event to every hook. Never throws, never waits. */
  tell(event: HookEvent): void;
  /** Looks at the folder anew. */
  list(): Promise<HookShown[]>;
  /** Runs every hook on `event` now, and says what came of it; also of those that aren't run. */
  test(event: HookEvent): Promise<(HookOutcome & { name: string })[]>;
  /** What isn't run, as far as it was looked at. */
  problems(): Warning[];
  /** Waits for what runs. */
  idle(): Promise<void>;
}

export interface HooksHost {
  folder: string;
  /** Who must own the folder and what is in it: root's uid. */
  owner: number;
  withinMs: number;
  runner(): Promise<HookRunner>;
  /** A hook has ended; `dropped`: events that it wasn't told since it last ended. */
  onOutcome(hook: string, event: string, outcome: HookOutcome, dropped: number): void;
  monotonicMs: () => number;
}

interface Worker {
  waiting: HookEvent[];
  dropped: number;
  /** Of these, what was said of. */
  told: number;
  running: Promise<void> | undefined;
  last: HookShown["last"];
}

export function createHooks(host: HooksHost): Hooks {
  const workers = new Map<string, Worker>();
  let problems: Warning[] = [];
  const workerOf = (name: string): Worker => {
    const known = workers.get(name);
    if (known !== undefined) return known;
    const fresh = { waiting: [], dropped: 0, told: 0, running: undefined, last: undefined };
    workers.set(name, fresh);
    return fresh;
  };
  const scan = async () => {
    const found = await readHooks(host.folder, host.owner);
    problems = found.flatMap(({ name, verdict }) =>
      verdict.runs
        ? []
        : [warning("hooks-refused", name, `hook ${name} isn't run: ${verdict.because}`)],
    );
    for (const [name, { running }] of workers) {
      // One that runs is known until it ends: it would be run twice at once if its file came back.
      const isGone = !found.some((each) => each.name === name);
      if (isGone && running === undefined) workers.delete(name);
    }
    return found;
  };
  const runNow = async (name: string, { event, body }: HookEvent) => {
    const input = `${JSON.stringify(body)}\n`;
    const run = { path: join(host.folder, name), event, input, withinMs: host.withinMs };
    return runHook(run, await host.runner(), host.monotonicMs);
  };
  const work = async (name: string, worker: Worker) => {
    for (let next = worker.waiting.shift(); next !== undefined; next = worker.waiting.shift()) {
      const outcome = await runNow(name, next);
      worker.last = { ...outcome, event: next.event, at: next.at };
      const dropped = worker.dropped - worker.told;
      worker.told = worker.dropped;
      host.onOutcome(name, next.event, outcome, dropped);
    }
  };
  const enqueue = (name: string, event: HookEvent) => {
    const worker = workerOf(name);
    worker.waiting.push(event);
    if (worker.waiting.length > WAITING_MAX) {
      worker.waiting.shift();
      worker.dropped += 1;
    }
    worker.running ??= work(name, worker)
      // Told already: what runs a hook never throws, and what hears of it mustn't stop the others.
      .catch(() => undefined)
      .finally(() => (worker.running = undefined));
  };
  /** One look after the other, so that events come in order. */
  let turn: Promise<void> = Promise.resolve();
  const tellAll = async (event: HookEvent) => {
    for (const { name, verdict } of await scan()) {
      if (verdict.runs) enqueue(name, event);
    }
  };
  return {
    tell(event) {
      turn = turn.then(async () => tellAll(event)).catch(() => undefined);
    },
    async list() {
      return (await scan()).map(({ name, verdict }) => {
        const worker = workers.get(name);
        return {
          name,
          runs: verdict.runs,
          because: verdict.runs ? "" : verdict.because,
          waiting: worker?.waiting.length ?? 0,
          dropped: worker?.dropped ?? 0,
          ...(worker?.last && { last: worker.last }),
        };
      });
    },
    async test(event) {
      return Promise.all(
        (await scan()).map(async ({ name, verdict }) => {
          if (verdict.runs) return { name, ...(await runNow(name, event)) };
          const because = `it isn't run: ${verdict.because}`;
          return { name, ok: false, because, output: "", tookMs: 0 };
        }),
      );
    },
    problems: () => problems,
    async idle() {
      await turn;
      for (let busy = true; busy;) {
        const running = [...workers.values()].flatMap((each) => each.running ?? []);
        await Promise.all(running);
        busy = running.length > 0;
      }
    },
  };
}

interface Found {
  name: string;
  verdict: HookVerdict;
}

/** What is in the folder, by name; nothing where there is none. */
async function readHooks(folder: string, owner: number): Promise<Found[]> {
  try {
    const because = judgeFolder(await look(folder), owner);
    const names = (await readdir(folder)).filter((name) => !isForeign(name)).toSorted();
    const found = await Promise.all(
      names.map(async (name, index) => {
        if (because !== "") return refused(name, `its folder: ${because}`);
        if (index >= HOOKS_MAX) return refused(name, `there are more than ${HOOKS_MAX}`);
        return readHook(folder, name, owner);
      }),
    );
    return found.flatMap((each) => each ?? []);
  } catch (error) {
    if (isMissing(error)) return [];
    return [refused("all", messageOf(error))];
  }
}

/** Undefined: it has gone meanwhile, as an editor's or a package's files do; the others stand. */
async function readHook(folder: string, name: string, owner: number): Promise<Found | undefined> {
  try {
    return { name, verdict: judgeHook({ name, ...(await look(join(folder, name))) }, owner) };
  } catch (error) {
    return isMissing(error) ? undefined : refused(name, messageOf(error));
  }
}

function refused(name: string, because: string): Found {
  return { name, verdict: { runs: false, because } };
}

async function look(path: string): Promise<Omit<HookFile, "name">> {
  const stats = await lstat(path);
  const { uid, mode } = stats;
  const kinds = [
    [stats.isSymbolicLink(), "link"],
    [stats.isFile(), "file"],
    [stats.isDirectory(), "folder"],
  ] as const;
  return { kind: kinds.find(([is]) => is)?.[1] ?? "other", uid, mode: mode & 0o7777 };
}
