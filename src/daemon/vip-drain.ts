// What a drain means for the addresses of this server: they go to another one that answers, and
// this one is last in line from then on; from one that leaves or was removed they go for good.
// Danger: an address must not be given up to nobody, so the others are asked first, and who got it
// back because nobody took it keeps it for a while.

import { isFault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import type { Peers } from "../cluster/peer.ts";
import type { NodeFile } from "../cluster/schema.ts";
import { LocalStatus } from "../cluster/status.ts";
import { serversOf, type View } from "../cluster/view.ts";
import { isWithoutAddresses } from "../cluster/work.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { canonicalAddress, localAddresses } from "../host/network.ts";
import { applyVip } from "../vip/apply.ts";
import { REFUSING, RELUCTANT, type Standing, type StandingFacts } from "../vip/priority.ts";

const ASK_MS = 2000;
/** keepalived gives an address up within a second. */
const GONE_MS = 5000;
const LOOK_MS = 50;
/** An address that is back so soon was taken by nobody. */
const BACK_MS = 30_000;
/** How long it is kept then before it is offered again: the others may just have come up. */
const KEEP_MS = 60_000;
/** The same for each further time: each one costs agents their connections. */
const KEEP_LONGER_MS = 600_000;

/** The cluster's virtual addresses that are on this server now. */
export function heldHere(virtualIps: readonly string[]): string[] {
  const mine = new Set(localAddresses().map((each) => each.address));
  const addresses = virtualIps.map((vip) => vip.split("/")[0] ?? vip);
  return addresses.filter((address) => mine.has(canonicalAddress(address)));
}

type DrainFacts = Omit<StandingFacts, "isolated">;

export interface AddressDrain {
  /** Cheap: whether there is something new to judge. */
  changes(view: View): unknown;
  facts(view: View): Promise<DrainFacts>;
  /** Once addresses were refused: waits until they are gone, and is there again for the last. */
  settle(view: View, standing: Standing): Promise<void>;
}

export function createAddressDrain({
  node,
  peers,
}: {
  node: NodeFile;
  peers: Pick<Peers, "call">;
}): AddressDrain {
  const offers = createOffers();
  const isDrained = (view: View) => isWithoutAddresses(view.work, node.id, wallMs());
  const leaves = (view: View) => {
    const own = view.members.find(({ id }) => id === node.id);
    return own === undefined || own.phase === "leaving";
  };
  const holds = (view: View) => heldHere(view.settings.virtualIps).length > 0;
  const othersOf = (view: View) =>
    serversOf(view).filter(
      ({ id, phase }) =>
        id !== node.id && phase === "ready" && !isWithoutAddresses(view.work, id, wallMs()),
    );
  return {
    changes: (view) => [
      isDrained(view),
      isDrained(view) && holds(view),
      offers.kept(monotonicMs()),
    ],
    async facts(view) {
      const wantsAway = leaves(view);
      const seen = { drained: isDrained(view), holds: holds(view) };
      const facts = { ...seen, wantsAway, tookBack: offers.see(seen, monotonicMs()) };
      const others = othersOf(view);
      const asks = wantsAway || (facts.drained && facts.holds);
      if (!asks) return { ...facts, othersReady: others.length > 0 };
      const answers = others.map(async ({ address }) => takesAgents(peers, address));
      return { ...facts, othersReady: (await Promise.all(answers)).includes(true) };
    },
    async settle(view, { priority }) {
      if (!isDrained(view) || leaves(view) || priority !== REFUSING) return;
      const endMs = monotonicMs() + GONE_MS;
      while (holds(view) && monotonicMs() < endMs) await pause(LOOK_MS);
      if (holds(view)) return;
      offers.gaveUp(monotonicMs());
      const because = "others have the addresses: takes them when nobody else does";
      await applyVip({ do: "set-priority", priority: RELUCTANT, because });
    },
  };
}

/**
 * Whether the server there could take an address: its edge takes agents. One that says only that
 * this server was removed is one that goes on without it.
 */
async function takesAgents(peers: Pick<Peers, "call">, address: string): Promise<boolean> {
  return peers.call(address, "/v1/local", { answer: LocalStatus, withinMs: ASK_MS }).then(
    ({ edge }) => edge?.active === true,
    (error: unknown) => isFault(error, "member.removed"),
  );
}

/** Remembers what became of addresses that were given up during one drain. */
export function createOffers() {
  let gaveMs: number | undefined;
  let gone = false;
  let keptMs: number | undefined;
  let times = 0;
  const kept = (nowMs: number) =>
    keptMs !== undefined && nowMs - keptMs < (times > 1 ? KEEP_LONGER_MS : KEEP_MS);
  return {
    kept,
    gaveUp(nowMs: number) {
      gaveMs = nowMs;
      gone = true;
    },
    /** Whether they came back because nobody took them. */
    see({ drained, holds }: { drained: boolean; holds: boolean }, nowMs: number): boolean {
      if (!drained) {
        gaveMs = keptMs = undefined;
        gone = false;
        times = 0;
      } else if (holds && gone) {
        gone = false;
        if (gaveMs !== undefined && nowMs - gaveMs < BACK_MS) {
          keptMs = nowMs;
          times += 1;
        }
      }
      return kept(nowMs);
    },
  };
}
