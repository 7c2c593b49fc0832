// Adds up what is seen of this edge's requests into half hours, for as long as the daemon runs.

import { type EdgeLoad, SLOT_MS, SLOTS } from "../cluster/load.ts";
import type { EdgeState } from "./observe.ts";

/** Looks that a half hour takes for its mean to mean something: some minutes of them. */
const LOOKS_MIN = 60;

export interface LoadMeter {
  see(state: EdgeState, nowMs: number): void;
  read(nowMs: number): EdgeLoad;
}

export function createLoadMeter(): LoadMeter {
  /** By slot: the sum over all looks, and how many there were. */
  const slots = new Map<number, { sum: number; looks: number }>();
  const slotAt = (nowMs: number) => Math.floor(nowMs / SLOT_MS);
  return {
    see(state, nowMs) {
      if (!state.running) return;
      const slot = slotAt(nowMs);
      const seen = slots.get(slot) ?? { sum: 0, looks: 0 };
      const busy = state.servers.reduce((sum, server) => sum + server.busy, 0);
      slots.set(slot, { sum: seen.sum + busy + state.waiting, looks: seen.looks + 1 });
      for (const old of slots.keys()) if (old < slot - SLOTS) slots.delete(old);
    },
    read(nowMs) {
      const slot = slotAt(nowMs);
      const mean = (of: number, looksMin: number) => {
        const seen = slots.get(of);
        return seen === undefined || seen.looks < looksMin ? null : round(seen.sum / seen.looks);
      };
      const past = Array.from({ length: SLOTS }, (_, back) => mean(slot - 1 - back, LOOKS_MIN));
      return { slot, now: mean(slot, 1) ?? 0, past };
    },
  };
}

function round(load: number): number {
  return Math.round(load * 100) / 100;
}
