// What this server does for a drill when its driver asks: after its own look at the record, and
// never without the way back being set first. Danger: two of the acts end what would answer, so
// they are done a moment after the answer, and may be called off in that moment; done all the same
// they would have no way back any more.

import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { readWork } from "../cluster/record.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { drillUnderWay, type Work } from "../cluster/work.ts";
import type { ActKind, DrillAct, DrillActs } from "../drill/acts.ts";
import { arm, type Order, perform, undo } from "../drill/apply.ts";
import { KINDS } from "../drill/kinds.ts";
import type { Etcd } from "../etcd/types.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { UNITS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { unitState } from "../host/systemd.ts";

/** Long enough for the answer to be on its way. */
const LATER_MS = 200;
const PUPPETDB_UNIT = "puppetdb.service";

export interface DrillActsHost {
  node: Pick<NodeFile, "id">;
  layout: Pick<PuppetLayout, "puppetserver">;
  etcd: Etcd;
  log: Log;
}

/** One for each daemon: it remembers what was called off. */
export function drillActs({ node, layout, etcd, log }: DrillActsHost): DrillActs {
  const undone = new Set<string>();
  /** When the timer was being set, monotonic milliseconds. */
  const over =
    ({ id, holdS }: Order, armedMs: number) =>
    () => {
      if (undone.has(id)) return "it was called off";
      // Its timer would have come and gone, or be about to.
      const late = holdS > 0 && monotonicMs() - armedMs > (holdS * 1000) / 2;
      return late ? "this server was too slow to do it in time" : "";
    };
  const orderOf = (act: DrillAct) => toOrder(act, layout.puppetserver.unit);
  return {
    async act(act) {
      // Read anew: the view may be a moment behind whoever asks.
      const because = whyNotNow(await readWork(etcd), { ...act, server: node.id }, wallMs());
      if (because !== "") throw new Fault("drill.not-now", because);
      const order = orderOf(act);
      await requireRunning(order);
      const isOver = over(order, monotonicMs());
      await arm(order);
      log.notice(`drill ${act.id}: ${node.id}: ${KINDS[act.kind].does}`);
      if (ENDS_ANSWERS.has(act.kind)) {
        setTimeout(() => {
          perform(order, isOver).catch((error: unknown) =>
            log.error(`drill ${act.id}: ${String(error)}`),
          );
        }, LATER_MS);
        return { agoMs: -LATER_MS };
      }
      const doneMs = monotonicMs();
      await perform(order, isOver);
      return { agoMs: monotonicMs() - doneMs };
    },
    async undo(act) {
      undone.add(act.id);
      await undo(orderOf(act));
    },
  };
}

const ENDS_ANSWERS: ReadonlySet<ActKind> = new Set(["daemon-kill", "server-isolate"]);

/** The act in this server's own terms. */
export function toOrder({ id, kind }: DrillAct, puppetserverUnit: string): Order {
  const { holdS } = KINDS[kind];
  const kill = (unit: string): Order => ({ id, do: "kill", unit, holdS });
  switch (kind) {
    case "puppetserver-kill":
      return kill(puppetserverUnit);
    case "edge-kill":
      return kill(UNITS.edge);
    case "daemon-kill":
      return kill(UNITS.daemon);
    case "puppetdb-kill":
      return kill(PUPPETDB_UNIT);
    case "etcd-loss":
      return { id, do: "lose", unit: UNITS.etcd, holdS };
    case "server-isolate":
      return { id, do: "cut", unit: "", holdS };
  }
}

/** Why the record doesn't say that this is to be done here now; empty when it does. */
export function whyNotNow(
  work: Work,
  { id, kind, server }: DrillAct & { server: string },
  nowMs: number,
): string {
  const drill = drillUnderWay(work, nowMs);
  if (drill === undefined) return "no drill is under way";
  if (drill.id !== id) return "another drill is under way";
  if (drill.server !== server) return `the drill is held at ${drill.server}, not at ${server}`;
  return drill.kind === kind ? "" : `the drill is ${drill.kind}, not ${kind}`;
}

async function requireRunning({ unit }: Order): Promise<void> {
  if (unit === "") return;
  const { active } = await unitState(unit);
  if (active === "active" || active === "reloading") return;
  throw new Fault("drill.refused", `${unit} is ${active} here: there is nothing to kill`);
}
