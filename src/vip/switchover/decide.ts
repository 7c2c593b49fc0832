// When a side goes on to its next phase, and when it ends. Pure: times are milliseconds since boot.

import type { Phase, Side } from "./order.ts";

/** How long the other side's keeper may take to be heard. */
const HEAR_MS = 15_000;
/** How long a side waits for the order to hand over, the addresses. */
const PREPARED_MS = 60_000;
/** How long keepalived may take to let go. */
const MOVING_MS = 5000;
/** A holder anew still gets what is on its way through the other server. */
const LINGER_MS = 10_000;
/** So long there is no connection before it ends: one may be on its way. */
const QUIET_MS = 3000;
/** So long after its kernel has stopped passing on, the new holder has those speak that only listen. */
const NUDGE_MS = 1000;
/** So long it resets what the old holder left, whatever the site's own rules would do with it. */
const SILENT_MS = 20_000;

const UNHEARD =
  "it doesn't hear the other server: the network drops its calls (UDP 9140), or packets that one server passes on for another";

export interface KeeperFacts {
  side: Side;
  phase: Phase;
  nowMs: number;
  /** When the phase began. */
  sinceMs: number;
  endsAtMs: number;
  /** Told to hand over; told to end. */
  go: boolean;
  end: boolean;
  /** How many of the addresses are on their interfaces here, of how many. */
  held: number;
  of: number;
  /** Whether connections are kept at all. */
  keeps: boolean;
  /** Whether the other side is heard. */
  hears: boolean;
  /** Whether that was done since the old holder is silent. */
  nudged: boolean;
  /** Since when it is so; undefined: it isn't. */
  heldSinceMs: number | undefined;
  idleSinceMs: number | undefined;
  silentSinceMs: number | undefined;
}

export type KeeperAct =
  | { do: "wait" }
  | { do: "ready" | "hand-over" | "settle" | "nudge" | "end"; because: string };

/** The next act of a side's keeper. */
export function decideKeeper(facts: KeeperFacts): KeeperAct {
  if (facts.end) return end("told to end");
  switch (facts.phase) {
    case "preparing":
      if (facts.hears || !facts.keeps) return { do: "ready", because: "the other server is heard" };
      if (passed(facts, facts.sinceMs, HEAR_MS)) return end(UNHEARD);
      return { do: "wait" };
    case "prepared":
      return decidePrepared(facts);
    case "moving":
      if (facts.held === 0) return settle("the addresses have left this server");
      if (passed(facts, facts.sinceMs, MOVING_MS)) return end("keepalived didn't let go");
      return { do: "wait" };
    case "moved":
      if (!facts.keeps) {
        // Not at once: whoever ordered it has yet to see that it has moved.
        return passed(facts, facts.sinceMs, LINGER_MS)
          ? end("no connection is kept")
          : { do: "wait" };
      }
      return facts.side === "old" ? decideOld(facts) : decideNew(facts);
    case "ended":
      return { do: "wait" };
  }
}

function decidePrepared(facts: KeeperFacts): KeeperAct {
  if (facts.side === "new" && facts.held === facts.of) return settle("it holds the addresses");
  if (facts.side === "old" && facts.go) {
    if (facts.hears || !facts.keeps) return { do: "hand-over", because: "told to" };
    return end("the new holder isn't heard any more, so nothing was moved");
  }
  if (passed(facts, facts.sinceMs, PREPARED_MS)) return end("nothing came of it in a minute");
  return { do: "wait" };
}

function decideOld(facts: KeeperFacts): KeeperAct {
  // Also when the new holder died and the addresses came back.
  if (passed(facts, facts.heldSinceMs, LINGER_MS)) return end("it holds the addresses again");
  if (facts.held > 0) return { do: "wait" };
  if (passed(facts, facts.idleSinceMs, QUIET_MS)) return end("all its connections have ended");
  if (facts.nowMs >= facts.endsAtMs) return end("its connections took too long to end");
  return { do: "wait" };
}

function decideNew(facts: KeeperFacts): KeeperAct {
  if (!facts.nudged && passed(facts, facts.silentSinceMs, NUDGE_MS)) {
    return { do: "nudge", because: "the old holder isn't heard any more" };
  }
  if (passed(facts, facts.silentSinceMs, SILENT_MS)) return end("the old holder needs it no more");
  if (facts.nowMs >= facts.endsAtMs)
    return end("the old holder's connections took too long to end");
  return { do: "wait" };
}

function passed({ nowMs }: KeeperFacts, sinceMs: number | undefined, ms: number): boolean {
  return sinceMs !== undefined && nowMs - sinceMs >= ms;
}

function end(because: string): KeeperAct {
  return { do: "end", because };
}

function settle(because: string): KeeperAct {
  return { do: "settle", because };
}
