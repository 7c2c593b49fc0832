// Lives of a unit's processes: when systemd has brought one back, and what its absence cost.

import { until } from "../../src/base/retry.ts";
import { monotonicMs, wallMs } from "../../src/host/clock.ts";
import { type Cluster, findHolder } from "../cluster.ts";
import type { LabHost } from "../host.ts";
import { VIRTUAL_ADDRESS } from "../plan.ts";
import { type Scene, seconds } from "./scenario.ts";
import { watchEdge } from "./watch.ts";

const BACK_MS_MAX = 120_000;
const LOOK_EVERY_MS = 20;
/** Longer than another server takes to take the address. */
const HELD_MS = 2000;

/** What tells one life of a unit from the next. */
export async function lives(host: LabHost, unit: string): Promise<string> {
  const properties = "ActiveState,ExecMainPID,ExecMainStartTimestampMonotonic,NRestarts";
  return (await host.run(`systemctl show -p ${properties} ${unit}`)).trim();
}

/** Waits until the unit runs again, in another life than `former`. */
export async function newLife(host: LabHost, unit: string, former: string): Promise<void> {
  await until(
    `${unit} of ${host.name} is back`,
    async () => {
      const now = await lives(host, unit);
      return now !== former && /^ActiveState=active$/m.test(now);
    },
    { withinMs: BACK_MS_MAX, everyMs: 200 },
  );
}

/** Waits until one server, and no other, has had the address for a while. */
async function settledHolder(cluster: Cluster): Promise<void> {
  let since: { holders: string; ms: number } | undefined;
  await until(
    "one server has the address",
    async () => {
      const found = await Promise.all(
        cluster.servers.map(async (server) => findHolder([server], VIRTUAL_ADDRESS)),
      );
      const names = found.flatMap((holder) => holder?.name ?? []);
      if (names.join() !== since?.holders) since = { holders: names.join(), ms: monotonicMs() };
      return names.length === 1 && monotonicMs() - since.ms > HELD_MS;
    },
    { withinMs: BACK_MS_MAX, everyMs: 200 },
  );
}

/**
 * Plays the death of the edge's or the address's own process on a server that lives; `outage`
 * returns when it is over. Such a server refuses connections, so if the address went or moved, runs
 * that tried to connect meanwhile, or had a connection open, are excused. Returns what it came to,
 * in words.
 */
export async function playOutage(scene: Scene, outage: () => Promise<void>): Promise<string> {
  const { cluster, excuse } = scene;
  await using watch = await watchEdge(cluster);
  const before = await cluster.holder();
  const fromMs = wallMs();
  await outage();
  await settledHolder(cluster);
  const toMs = wallMs();
  const { gaps, longestGapMs } = watch.prober.soFar();
  const after = await cluster.holder();
  const gap = gaps.length === 0 ? "no connection refused" : `away for ${seconds(longestGapMs)}`;
  if (gaps.length === 0 && before === after) return `${gap}, the address stayed`;
  const open = new Set<string>();
  for (let atMs = fromMs; atMs <= toMs; atMs += LOOK_EVERY_MS) {
    for (const agent of watch.connections.openAt(atMs)) open.add(agent);
  }
  excuse(({ agent, startedAt, endedAt }) => {
    const overlaps = (from: number, to: number) => startedAt < to && endedAt > from;
    const refused = gaps.some(({ fromMs: from, toMs: to }) => overlaps(from, to ?? toMs));
    return refused || (open.has(agent) && overlaps(fromMs, toMs));
  });
  return `${gap}, the address ${before === after ? "stayed" : `went to ${after?.name}`}`;
}
