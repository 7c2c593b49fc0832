// The level-triggered loop that every capability runs in: on a timer, sooner when woken, never
// twice at once. A missed event costs one tick. A failing tick is logged once per new reason and
// tried again.

import { Fault, messageOf } from "./fault.ts";
import type { Log } from "./log.ts";
import { pause } from "./retry.ts";

export interface Loop {
  readonly name: string;
  /** Runs the body soon, or once more if it is running now. */
  wake(): void;
  /** Resolves when the loop has ended after its signal aborted. */
  ended: Promise<void>;
  /** What the last tick came to; undefined before the first has ended. */
  last(): LoopOutcome | undefined;
  /** When the tick that runs now began, monotonic milliseconds; undefined between ticks. */
  runningSinceMs(): number | undefined;
  /** Says that the tick that runs now gets on: one that has much to do isn't one that hangs. */
  getsOn(): void;
  /** When it last got on, or else began, monotonic milliseconds; undefined between ticks. */
  gotOnMs(): number | undefined;
}

export interface LoopOutcome {
  ok: boolean;
  /** Monotonic milliseconds at its end. */
  endedMs: number;
  because?: string;
  /** How many ticks in a row have failed by then. */
  failures: number;
}

/** Starts the loop. `body` gets the signal and should hand it on to everything that waits. */
export function startLoop(options: {
  name: string;
  everyMs: number;
  log: Log;
  signal: AbortSignal;
  body: (signal: AbortSignal) => Promise<void>;
}): Loop {
  const { name, everyMs, signal } = options;
  const log = options.log.with({ loop: name });
  let outcome: LoopOutcome | undefined;
  let woken = false;
  let nudge = new AbortController();
  let sinceMs: number | undefined;
  let gotOnMs = 0;

  const tick = async () => {
    sinceMs = gotOnMs = performance.now();
    try {
      await options.body(signal);
      if (outcome?.ok === false) log.notice(`${name} works again`);
      outcome = { ok: true, endedMs: performance.now(), failures: 0 };
    } catch (error) {
      const because = error instanceof Fault ? `${error.code}: ${error.message}` : messageOf(error);
      if (!signal.aborted && outcome?.because !== because) log.warn(`${name} failed: ${because}`);
      const failures = (outcome?.failures ?? 0) + 1;
      outcome = { ok: false, endedMs: performance.now(), because, failures };
    }
    sinceMs = undefined;
  };
  const go = async () => {
    while (!signal.aborted) {
      woken = false;
      await tick();
      if (woken) continue;
      nudge = new AbortController();
      await pause(everyMs, AbortSignal.any([signal, nudge.signal]));
    }
  };
  return {
    name,
    ended: go(),
    last: () => outcome,
    runningSinceMs: () => sinceMs,
    gotOnMs: () => (sinceMs === undefined ? undefined : gotOnMs),
    getsOn() {
      gotOnMs = performance.now();
    },
    wake() {
      woken = true;
      nudge.abort();
    },
  };
}
