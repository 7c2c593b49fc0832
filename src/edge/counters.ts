// HAProxy's counters start at 0 again with every new worker: added up here for as long as the
// daemon runs.

import type { EdgeState } from "./observe.ts";

const DECIMALS = 10;

export interface Counter {
  see(now: number): void;
  total(): number;
}

export function createCounter(): Counter {
  let sum = 0;
  let last = 0;
  return {
    see(now) {
      sum += now >= last ? now - last : now;
      last = now;
    },
    total: () => sum,
  };
}

/** Requests of this edge by puppetserver. */
export interface RequestMeter {
  see(state: EdgeState, atMs: number): void;
  /** How many in all, and per second between the last two looks. */
  of(name: string): { total: number; perS: number };
}

export function createRequestMeter(): RequestMeter {
  let seen = new Map<string, { counter: Counter; perS: number }>();
  let lastMs: number | undefined;
  return {
    see(state, atMs) {
      if (!state.running) return;
      const seconds = lastMs === undefined ? 0 : (atMs - lastMs) / 1000;
      lastMs = atMs;
      // Those that are no more in the configuration are forgotten.
      seen = new Map(
        state.servers.map(({ name, total }) => {
          const counter = seen.get(name)?.counter ?? createCounter();
          const before = counter.total();
          counter.see(total);
          const perS = seconds > 0 ? (counter.total() - before) / seconds : 0;
          return [name, { counter, perS: Math.round(perS * DECIMALS) / DECIMALS }];
        }),
      );
    },
    of(name) {
      const found = seen.get(name);
      return { total: found?.counter.total() ?? 0, perS: found?.perS ?? 0 };
    },
  };
}
