// What each kind of drill does, to which unit, for how long, and how it is undone. The idea: the
// way back is a timer of systemd that is set before anything is broken, so that it needs nothing of
// ours.

import type { DrillKind } from "../cluster/drill.ts";

/** What a kind is to people and to the machine. */
export interface Kind {
  /** As in "puppetserver of s2 is killed". */
  does: string;
  /** What agents should notice of it. */
  expected: string;
  /** How long the thing stays away at most before it is brought back, seconds; 0: it isn't kept. */
  holdS: number;
  /** What brings it back. */
  back: string;
}

export const KINDS: Record<DrillKind, Kind> = {
  "puppetserver-kill": {
    does: "its puppetserver is killed (SIGKILL)",
    expected: "requests that ran there are repeated on another server; none fails",
    holdS: 10,
    back: "systemd starts it again, else a timer does",
  },
  "edge-kill": {
    does: "its HAProxy is killed (SIGKILL)",
    expected: "connections to it break; new ones go to another server within a second",
    holdS: 10,
    back: "systemd starts it again, else a timer does",
  },
  "daemon-kill": {
    does: "its daemon is killed (SIGKILL)",
    expected: "nothing",
    holdS: 10,
    back: "systemd starts it again, else a timer does",
  },
  "vip-move": {
    does: "its addresses are moved to another server, and back",
    expected: "nothing",
    holdS: 0,
    back: "a second move",
  },
  "etcd-loss": {
    does: "its etcd is killed (SIGKILL) and stays away for 20 s",
    expected: "nothing; changes may wait for a new leader",
    holdS: 20,
    back: "a timer of systemd's that is set before",
  },
  "server-isolate": {
    does: "everything to and from it is dropped for 20 s, as if its cable were pulled",
    expected: "connections to it hang; new ones go to another server within a second",
    holdS: 20,
    back: "a timer of systemd's that is set before; a reboot too",
  },
  "puppetdb-kill": {
    does: "its PuppetDB is killed (SIGKILL)",
    expected: "queries go to another one, commands wait for it; nothing fails",
    holdS: 10,
    back: "systemd starts it again, else a timer does",
  },
};

/** What becomes of a drill of this kind when its driver is lost. */
export function withoutDriver(kind: string): string {
  return kind === "vip-move"
    ? "the addresses stay where they are now"
    : "what it broke comes back by a timer of systemd's on that server";
}

/**
 * How long is measured before, and after it is as it was: longer than edges take to tell of what
 * they sent on.
 */
export const STEADY_MS = 5000;
export const AFTER_MS = 7000;
/** How long it may take until the cluster is as it was: puppetserver starts in minutes. */
export const RECOVER_MS = 420_000;
/** The mark in the record ends so long after the drill began, whatever became of its driver. */
export const MARK_MS = 900_000;
