// The CA after the cluster's own has ended: what stock's revokes is refused at this edge too, and
// an end that this server decided alone comes into the record as soon as that can be asked.

import { readFile } from "node:fs/promises";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { type Loop, startLoop } from "../base/loop.ts";
import type { Ca } from "../ca/authority.ts";
import { latestEjected } from "../ca/ejected.ts";
import { caLayout } from "../ca/layout.ts";
import { EJECTED_KEY, META_KEY } from "../cluster/keys.ts";
import { parseKept } from "../cluster/record.ts";
import { Ejected, type NodeFile } from "../cluster/schema.ts";
import { stockAuthority } from "../cluster/stock-authority.ts";
import type { View } from "../cluster/view.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import type { Etcd } from "../etcd/types.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { readStockCrl } from "../puppetserver/stock-ca.ts";
import { readLeaf } from "../cluster/pki-store.ts";

const EVERY_MS = 5000;

export interface EjectedHost {
  node: NodeFile;
  layout: PuppetLayout;
  etcd: Etcd;
  keeper: ViewKeeper;
  log: Log;
  signal: AbortSignal;
}

/** Starts the loop; while the CA is the cluster's it does nothing. */
export function startEjectedLoop(host: EjectedHost, ca: Ca): Loop {
  const { keeper, log, signal } = host;
  const loop = startLoop({
    name: "stock's CA",
    everyMs: EVERY_MS,
    log,
    signal,
    body: async () => {
      const view = keeper.current();
      const ejected = ca.ejected() ?? view?.ejected;
      if (ejected === undefined) return;
      if (view !== undefined && keeper.record().reachable)
        await announce(host, ca.handedOver(), view);
      await follow(host, ca, ejected, view);
    },
  });
  keeper.onChange(() => loop.wake());
  return loop;
}

/** Stock's own list where it is on this server's disk, else the one that its server answers with. */
async function follow(
  { node, layout }: EjectedHost,
  ca: Ca,
  ejected: Ejected,
  view: View | undefined,
): Promise<void> {
  if (ejected.to === node.id) {
    if (ca.handedOver() === undefined) return;
    await ca.followStock(await readFile(caLayout(layout.cadir).crl));
    return;
  }
  const stock = view && stockAuthority(view, ejected);
  if (stock === undefined) {
    throw new Fault("eject.gone", `${ejected.to} has the CA, and is no member any more`, {
      hints: ["Nobody signs. On one of the servers that are left: understudy eject --alone"],
    });
  }
  const { ca: caPem, cert, key } = await readLeaf("edge");
  const access = { ...stock, serverName: stock.host, ca: caPem, cert, key };
  await ca.followStock(await readStockCrl(access));
}

/**
 * What this server's mark says and the record doesn't: it decided alone, or the record went back to
 * an older one. The others hear of it, and sign no more.
 */
export async function announce(
  { etcd, log }: Pick<EjectedHost, "etcd" | "log">,
  mark: Ejected | undefined,
  view: Pick<View, "ejected" | "metaText">,
): Promise<void> {
  if (mark === undefined || view.metaText === "") return;
  if (latestEjected(view.ejected, mark) === view.ejected) return;
  const kv = await etcd.get(EJECTED_KEY);
  const recorded = kv && parseKept(Ejected, kv).value;
  if (latestEjected(recorded, mark) === recorded) return;
  const { to, at, alone, serialNext, crlNumber } = mark;
  const value = JSON.stringify({ to, at, alone, serialNext, crlNumber } satisfies Ejected);
  const { ok } = await etcd.transact(
    {
      when: [
        { key: META_KEY, value: view.metaText },
        kv === undefined
          ? { key: EJECTED_KEY, is: "absent" }
          : { key: EJECTED_KEY, modRevision: kv.modRevision },
      ],
      then: [{ put: EJECTED_KEY, value }],
    },
    { settle: { key: EJECTED_KEY, value } },
  );
  if (ok) log.notice("the record says now that the CA is this server's: no other one signs");
}
