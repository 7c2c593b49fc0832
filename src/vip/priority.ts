// The number that a server's daemon writes for its keepalived: how much it wants addresses.
// keepalived adds it to the priority; below -253 the server gives its addresses up. Written to a
// file that outlives the daemon and a reboot, so a dead daemon changes nothing.

/** The normal case: takes an address when its holder is gone. */
export const WILLING = 0;
/**
 * First in line: takes an address that is given up before any other server does. keepalived caps
 * the sum at 254, whatever the server's own priority.
 */
export const CHOSEN = 253;
/** Last in line: keeps what it has, takes an address only when nobody else does. */
export const RELUCTANT = -150;
/** Gives up what it has, at once, and takes nothing. */
export const REFUSING = -254;

export interface StandingFacts {
  /** It is leaving, or no member any more: others don't tell it that they hold an address. */
  wantsAway: boolean;
  /** It is drained: its addresses go to others, but it is alive, and last in line. */
  drained: boolean;
  /** It has one of the addresses now. */
  holds: boolean;
  /** It gave them up a moment ago, and got them back because nobody else took them. */
  tookBack: boolean;
  /** It can't reach the record: cut off from the others, or they all are. */
  isolated: boolean;
  /** Whether another server can take the addresses: asked, where this one is to give them up. */
  othersReady: boolean;
}

export interface Standing {
  priority: number;
  because: string;
}

/**
 * The number for `facts`. An address is never given up to nobody. A server that was cut off holds
 * what it took meanwhile only until it hears the others again: their agents' connections must not
 * break for its coming back.
 */
export function decideStanding(facts: StandingFacts): Standing {
  const { wantsAway, drained, holds, tookBack, isolated } = facts;
  const giveUp = { priority: REFUSING, because: "leaves addresses to the other servers" };
  const keep = {
    priority: RELUCTANT,
    because: "holds addresses only as no other server is ready to",
  };
  // Also where the record can't be reached: it ends for this one before its edge does.
  if (wantsAway) return facts.othersReady && !tookBack ? giveUp : keep;
  if (isolated) {
    return {
      priority: RELUCTANT,
      because: "holds addresses only as far as it hears no other server",
    };
  }
  if (!drained) return { priority: WILLING, because: "takes addresses" };
  // Refusing for as long as it is drained, it would take none when all the others die.
  if (!holds) {
    return { priority: RELUCTANT, because: "is drained: takes addresses when nobody else does" };
  }
  return facts.othersReady && !tookBack ? giveUp : keep;
}

/** The number in the file; undefined when there is none. keepalived reads nothing as 0. */
export function parsePriority(text: string | undefined): number | undefined {
  const match = /^\s*(-?\d{1,3})\s*$/.exec(text ?? "");
  return match?.[1] === undefined ? undefined : Number(match[1]);
}
