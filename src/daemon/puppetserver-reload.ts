// puppetserver takes a renewed certificate, or another way to PuppetDB, only by a reload, which
// ends its running compiles. So
// edges send it nothing more before, what runs there is waited for, and no two members reload at
// the same time. What of that can't be had within its limit costs replays, not runs.

import { pause } from "../base/retry.ts";
import type { Log } from "../base/log.ts";
import { RELOAD_TURN_KEY } from "../cluster/keys.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { LocalStatus } from "../cluster/status.ts";
import { inTurn } from "../cluster/turn.ts";
import { serversOf, type View } from "../cluster/view.ts";
import type { Etcd } from "../etcd/types.ts";
import { isOut } from "../cluster/work.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { applyPuppetserver } from "../puppetserver/apply.ts";
import type { PuppetserverAction } from "../puppetserver/plan.ts";

/** Longer than draining and a reload may take. */
const TURN_S = 600;
/** How long running compiles are waited for; what runs then is replayed elsewhere. */
const DRAIN_MS = 120_000;
const LOOK_MS = 1000;
const ASK_MS = 3000;

/** Why its edges send it nothing while it reloads. */
export const RELOADING = "it loads what has changed on its server";

export interface ReloadHost {
  node: NodeFile;
  etcd: Etcd;
  peers: Peers;
  log: Log;
  /** Tells every edge, by the record, why this member's puppetserver gets no requests now. */
  takeOut(because: string): Promise<void>;
  /** Whether nothing runs in this member's puppetserver: former workers of edges tell nothing. */
  isIdle(view: View): Promise<boolean>;
}

/** Reloads when it is this member's turn; else the next tick tries again. */
export async function reloadInTurn(
  host: ReloadHost,
  view: View,
  reload: PuppetserverAction & { do: "reload" },
  unitName: string,
): Promise<void> {
  const { node, etcd, log } = host;
  const turn = { key: RELOAD_TURN_KEY, id: node.id, leaseS: TURN_S };
  const mine = await inTurn(etcd, turn, async () => {
    try {
      if (othersServe(view, node.id, wallMs())) await drain(host, view);
      log.notice(`puppetserver reloads: ${reload.because}`);
      await applyPuppetserver(reload, unitName);
    } finally {
      await host.takeOut("");
    }
  });
  if (!mine) log.notice("puppetserver reloads later: another member's reloads now");
}

/** Whether another member's puppetserver gets requests, as far as the record says. */
export function othersServe(view: Pick<View, "members" | "work">, id: string, nowMs: number) {
  return view.members.some(
    (member) =>
      member.id !== id &&
      !isOut(view.work, member.id, nowMs) &&
      member.backends.some(({ unfit }) => unfit === ""),
  );
}

async function drain(host: ReloadHost, view: View): Promise<void> {
  await host.takeOut(RELOADING);
  const endMs = monotonicMs() + DRAIN_MS;
  const ask = async (address: string) =>
    host.peers
      .call(address, "/v1/local", { answer: LocalStatus, withinMs: ASK_MS })
      .catch(() => undefined);
  while (monotonicMs() < endMs) {
    const answers = await Promise.all(serversOf(view).map(async ({ address }) => ask(address)));
    if (isDrained(answers, host.node.id) && (await host.isIdle(view))) return;
    await pause(LOOK_MS);
  }
  host.log.warn("puppetserver reloads although requests still run there: they are replayed");
}

/** Whether no edge that answers sends `id`'s puppetservers anything, nor waits for them. */
export function isDrained(answers: readonly (LocalStatus | undefined)[], id: string): boolean {
  return answers
    .flatMap((local) => local?.edge?.backends ?? [])
    .filter(({ member }) => member === id)
    .every(({ state, busy }) => state !== "up" && busy === 0);
}
