// The sync of the PuppetDB that runs beside this courier, if one does.

import type { Log } from "../../base/log.ts";
import type { CourierConfig } from "../config.ts";
import type { Health, PuppetDbClient } from "../puppetdb-client.ts";
import { startSync, type Sync } from "./sync.ts";

/** One PuppetDB as the courier knows it; `health`: the newest look. */
export interface Sighted {
  client: PuppetDbClient;
  health: Health;
}

/** `targets`: every PuppetDB; `notReady` and `lost` as in SyncDeps. */
export async function startOwnSync<T extends Sighted>(
  { id, stateDir, filling }: CourierConfig,
  targets: readonly T[],
  deps: {
    notReady: (own: T) => string;
    lost: (own: T) => string;
    log: Log;
    signal: AbortSignal;
  },
): Promise<Sync | undefined> {
  const own = targets.find(({ client }) => client.id === id);
  if (own === undefined) return undefined;
  const { notReady, lost, ...rest } = deps;
  const others = targets
    .filter((target) => target !== own)
    .map((target) => ({
      client: target.client,
      health: () => target.health,
      filling: filling.includes(target.client.id),
    }));
  return startSync({
    ...rest,
    stateDir,
    here: own.client,
    others,
    filling: filling.includes(id),
    notReady: () => notReady(own),
    lost: () => lost(own),
  });
}
