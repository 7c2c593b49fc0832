// Many synthetic agents at once, for as long as a drill lasts: connections all the time, catalogs
// by new connections and by a kept one. The idea: no attempt waits for the one before it, or an
// outage would thin them out; how many wait at once is bounded instead.

import { pause } from "../base/retry.ts";
import { askCatalog, connectOnce, keptConnection, type ProbeAccess, steadyClock } from "./probe.ts";
import type { Sample } from "./samples.ts";

const CONNECT_EVERY_MS = 25;
const CONNECT_MS = 250;
const CATALOG_EVERY_MS = 500;
/** When only the end is waited for, one in so many is enough. */
const CALM_TIMES = 4;
const CATALOGS_AT_ONCE = 16;
/** More than a drill lasts at these rates. */
const CONNECTS_MAX = 60_000;
const CATALOGS_MAX = 3000;

export interface Prober {
  connects: Sample[];
  catalogs: Sample[];
  kept: Sample[];
  /** Asks less often from now on: puppetserver may need minutes to come back. */
  calm(): void;
  /** Begins nothing new, and waits so long for what is under way; the rest counts as failed. */
  stop(withinMs: number): Promise<void>;
  now(): number;
}

/** `keep`: also by one connection that is kept. */
export function startProber(access: ProbeAccess, { keep = true } = {}): Prober {
  const now = steadyClock();
  const over = new AbortController();
  const lost = new AbortController();
  const connects: Sample[] = [];
  const catalogs: Sample[] = [];
  const kept: Sample[] = [];
  const running = new Set<Promise<void>>();
  const track = (work: Promise<void>) => {
    const tracked = work.finally(() => running.delete(tracked));
    running.add(tracked);
  };
  let asking = 0;
  let calmed = false;
  const ticks = { connects: 0, catalogs: 0 };
  const isOff = (what: keyof typeof ticks) => {
    ticks[what] += 1;
    return calmed && ticks[what] % CALM_TIMES !== 0;
  };
  const connecting = setInterval(() => {
    if (connects.length >= CONNECTS_MAX || isOff("connects")) return;
    track(connectOnce(access, now, CONNECT_MS).then((sample) => void connects.push(sample)));
  }, CONNECT_EVERY_MS);
  const ask = async () => {
    asking += 1;
    const sample = await askCatalog(access, now, { signal: lost.signal });
    asking -= 1;
    catalogs.push(sample);
  };
  const cataloguing = setInterval(() => {
    if (asking >= CATALOGS_AT_ONCE || catalogs.length >= CATALOGS_MAX) return;
    if (!isOff("catalogs")) track(ask());
  }, CATALOG_EVERY_MS);
  const askByOne = async () => {
    const agent = keptConnection();
    while (!over.signal.aborted && kept.length < CATALOGS_MAX) {
      const sample = await askCatalog(access, now, { agent, signal: lost.signal });
      kept.push(sample);
      await pause(CATALOG_EVERY_MS * (calmed ? CALM_TIMES : 1), over.signal);
    }
    agent.destroy();
  };
  if (keep) track(askByOne());
  return {
    connects,
    catalogs,
    kept,
    now,
    calm() {
      calmed = true;
    },
    async stop(withinMs) {
      clearInterval(connecting);
      clearInterval(cataloguing);
      over.abort();
      const ended = new AbortController();
      const all = Promise.all(running).then(() => ended.abort());
      await pause(withinMs, ended.signal);
      lost.abort();
      await all;
    },
  };
}
