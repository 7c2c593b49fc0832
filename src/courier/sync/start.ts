// The sync of the PuppetDB that runs beside this courier, if one does.

import type { Log } from "../../base/log.ts";
import type { CourierConfig } from "../config.ts";
import type { Health, PuppetDbClient } from "../puppetdb-client.ts";
import { startSync, type Sync, type SyncDeps } from "./sync.ts";

/** One PuppetDB as the courier knows it; `health`: the newest look. */
export interface Sighted {
  client: PuppetDbClient;
  health: Health;
}

/**
 * `targets`: every PuppetDB; `notReady`, `lost` and `deletedAt` as in SyncDeps; `send` brings this
 * server's own one a command.
 */
export async function startOwnSync<T extends Sighted>(
  { id, stateDir, filling }: CourierConfig,
  targets: readonly T[],
  deps: {
    notReady: (own: T) => string;
    lost: (own: T) => string;
    deletedAt: SyncDeps["deletedAt"];
    send: PuppetDbClient["send"];
    log: Log;
    signal: AbortSignal;
  },
): Promise<Sync | undefined> {
  const own = targets.find(({ client }) => client.id === id);
  if (own === undefined) return undefined;
  const { notReady, lost, send, ...rest } = deps;
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
    here: { ...own.client, send },
    others,
    filling: filling.includes(id),
    notReady: () => notReady(own),
    lost: () => lost(own),
  });
}
