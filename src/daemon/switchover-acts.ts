// What this server does for a switchover when a member asks for it: each act after its own check.
// The changes are a unit's (understudy-switchover@), which this daemon tells and starts: its own
// sandbox forbids them, and they must outlive it.

import { isIPv4 } from "node:net";
import { Fault } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { until } from "../base/retry.ts";
import type { View } from "../cluster/view.ts";
import {
  canonicalAddress,
  configuredAddresses,
  inSubnet,
  localAddresses,
  parseCidr,
} from "../host/network.ts";
import { UNITS } from "../host/paths.ts";
import { runLater, unit } from "../host/systemd.ts";
import type { SwitchoverActs, SwitchoverWish } from "../vip/switchover/acts.ts";
import { lookHere, ownOn } from "../vip/switchover/look.ts";
import { readProgress } from "../vip/switchover/observe.ts";
import {
  type Move,
  type Order,
  type Side,
  type SwitchoverPaths,
  switchoverPaths,
} from "../vip/switchover/order.ts";
import { readList, writeList } from "../vip/switchover/theirs.ts";
import { giveOrder, orderEnd, orderHandOver, untilPhase } from "../vip/switchover/tell.ts";

/** How long the other side's unit may take to be heard here. */
const PREPARE_MS = 20_000;
const MOVE_MS = 10_000;
const END_MS = 15_000;
/** The timer undoes what the unit hasn't undone so long after it should have. */
const UNDO_AFTER_S = 120;

/** Longer than a reload of keepalived and a few adverts take. */
const TAKE_MS = 15_000;

export interface SwitchoverActsDeps {
  view(): View;
  /** The address that keepalived is to take from whoever has it; empty: none. */
  take: { address: string };
  /** Has the virtual IPs' loop see to that now. */
  wakeVip(): void;
  log: Log;
}

export function switchoverActs(deps: SwitchoverActsDeps): SwitchoverActs {
  const phaseOf = async (side: Side, id: string, phase: "prepared" | "moved", withinMs: number) => {
    const progress = await untilPhase(switchoverPaths(side), id, [phase], { withinMs });
    return { phase: progress.phase, because: progress.because };
  };
  return {
    look: async () => lookHere(deps.view().settings.virtualIps),
    async prepare(wish) {
      const order = await checkWish(wish, deps.view());
      const paths = switchoverPaths(order.side);
      deps.log.notice(`switchover ${order.id}: the ${order.side} side is prepared`);
      // Before the first change: it must come whatever becomes of us.
      await armUndo(order, paths.undo(order.id));
      await untilOver(paths);
      await giveOrder(paths, order);
      const name = order.side === "old" ? UNITS.switchoverOld : UNITS.switchoverNew;
      await unit("start", name);
      return phaseOf(order.side, order.id, "prepared", PREPARE_MS);
    },
    async handOver(id) {
      const paths = switchoverPaths("old");
      await untilPhase(paths, id, ["prepared", "moving", "moved"], { withinMs: 0 });
      await orderHandOver(paths);
      await phaseOf("old", id, "moved", MOVE_MS);
      return (await readList(paths.theirs)) ?? [];
    },
    async taken(id, theirs) {
      const phase = await phaseOf("new", id, "moved", MOVE_MS);
      if (theirs.length > 0) await writeList(switchoverPaths("new").theirs, theirs);
      return phase;
    },
    take: async (address) => takeAddress(deps, address),
    async end({ id, side }) {
      const paths = switchoverPaths(side);
      if (!(await orderEnd(paths, id))) return;
      await untilPhase(paths, id, ["ended"], { withinMs: END_MS });
    },
  };
}

/** Has systemd undo what is left in the end. By then there is mostly nothing, and that is fine. */
async function armUndo({ id, side, limitS }: Order, script: string): Promise<void> {
  const name = `understudy-switchover-undo-${side}-${id}`;
  const argv = ["/bin/sh", "-c", `[ ! -e ${script} ] || exec /bin/sh ${script}`];
  await runLater(name, limitS + UNDO_AFTER_S, argv);
}

/** Has keepalived take `address` from whoever has it, and be as before then. */
async function takeAddress(deps: SwitchoverActsDeps, address: string): Promise<void> {
  const look = async () => lookHere(deps.view().settings.virtualIps);
  const { addresses, unfit } = await look();
  const here = addresses.find((each) => each.address === address);
  if (here === undefined) throw new Fault("failover.refused", `${address} is no virtual IP`);
  if (here.held) return;
  if (unfit !== "") throw new Fault("failover.refused", unfit);
  deps.log.notice(`failover: keepalived takes ${address} from whoever has it`);
  const has = () => localAddresses().some((each) => each.address === address);
  try {
    deps.take.address = address;
    deps.wakeVip();
    await until(address, has, { withinMs: TAKE_MS });
  } catch (error) {
    throw new Fault("failover.not-taken", `keepalived hasn't taken ${address}`, {
      hints: ["Is the edge up? See: understudy status; journalctl -u understudy-vip"],
      cause: error,
    });
  } finally {
    deps.take.address = "";
    deps.wakeVip();
  }
}

/** Waits for the end of one that puts everything back just now. */
async function untilOver(paths: SwitchoverPaths): Promise<void> {
  const over = async () => (await readProgress(paths))?.phase !== "ended";
  await until("the end of the former switchover", over, { withinMs: END_MS });
}

/** The wish as this server carries it out. Throws Fault `switchover.refused`. */
async function checkWish(wish: SwitchoverWish, view: View): Promise<Order> {
  const refuse = (why: string) => new Fault("switchover.refused", why);
  const look = await lookHere(view.settings.virtualIps);
  if (look.unfit !== "") throw refuse(look.unfit);
  const busy = look.windows.find(
    ({ id, phase }) => id !== wish.id && !["moved", "ended"].includes(phase),
  );
  if (busy !== undefined) throw refuse("another switchover is under way here");
  const local = await configuredAddresses();
  const { virtualIps } = view.settings;
  const moves = wish.moves.map(({ address, peer }): Move => {
    const text = virtualIps.find((each) => canonicalAddress(parseCidr(each).address) === address);
    const own = text === undefined ? undefined : ownOn(text, virtualIps, local);
    const device = own ?? local.find((each) => each.address === address);
    if (text === undefined || device === undefined) {
      throw refuse(`${address} is no virtual IP that this server could hold`);
    }
    const held = look.addresses.some((each) => each.address === address && each.held);
    if (held !== (wish.side === "old")) {
      throw refuse(`${address} is ${held ? "" : "not "}held here`);
    }
    if (peer === undefined) return { address, interface: device.interface };
    const good = isIPv4(address) && own !== undefined && peer !== own.address;
    if (!good || !inSubnet(peer, parseCidr(text)) || look.problems.length > 0) {
      throw refuse(`connections of ${address} can't be kept: ${look.problems.join("; ") || peer}`);
    }
    return { address, interface: own.interface, kept: { own: own.address, peer } };
  });
  const { id, side, stand, limitS } = wish;
  return { id, side, stand, limitS, moves };
}
