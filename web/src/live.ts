// What goes on, as this member sends it: the newest look at the cluster, the newest history, and a
// few minutes of figures for charts.

import { batch, computed, signal } from "@preact/signals";
import type { Snapshot, Trouble } from "../../src/api/events.ts";
import type { HistoryAnswer } from "../../src/setup/history-contract.ts";
import { findSession, Refusal, requireGiven, session } from "./ask.ts";

const EVENTS = "/v1/events";

/** Looks come every 2 s: ten minutes of them. */
const SAMPLES_MAX = 300;
/** So long without a word: what is shown may no longer be so. */
const STALE_MS = 10_000;
const CHECK_MS = 2000;
/** So long: nobody may be there to end the connection, as where a server has lost power. */
const REOPEN_MS = 60_000;
const AGAIN_MS = 3000;

export interface Figures {
  perS: number;
  busy: number;
  waiting: number;
}

/** Figures of every puppetserver at one moment. */
export interface Sample {
  atMs: number;
  of: ReadonlyMap<string, Figures>;
}

export const snapshot = signal<Snapshot | undefined>(undefined);
export const history = signal<HistoryAnswer | undefined>(undefined);
export const trouble = signal<Trouble | undefined>(undefined);
export const samples = signal<readonly Sample[]>([]);
/** When the newest look came; undefined: none has yet. */
export const lookedMs = signal<number | undefined>(undefined);
/** Whether nothing has come for long. */
export const silent = signal(false);
/** Whether what is shown may no longer be so. */
export const isOld = computed(() => silent.value || trouble.value !== undefined);
/** The time by which what is shown is so long ago; it goes on when nothing comes. */
export const nowMs = signal(Date.now());

/**
 * Follows until the returned function is called. A page that nobody sees lets go of its stream:
 * a browser has six connections to a member, for all its tabs.
 */
export function follow(): () => void {
  let heardMs = Date.now();
  let openedMs = heardMs;
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    heardMs = Date.now();
    silent.value = false;
  };
  const open = () => {
    openedMs = Date.now();
    source = new EventSource(EVENTS);
    source.addEventListener("snapshot", ({ data }: MessageEvent<string>) => {
      heard();
      take(JSON.parse(data) as Snapshot);
    });
    source.addEventListener("history", ({ data }: MessageEvent<string>) => {
      heard();
      history.value = JSON.parse(data) as HistoryAnswer;
    });
    source.addEventListener("trouble", ({ data }: MessageEvent<string>) => {
      heard();
      trouble.value = JSON.parse(data) as Trouble;
    });
    source.addEventListener("error", () => {
      // A browser comes again by itself after a connection was lost, and never after a refusal.
      if (source?.readyState !== EventSource.CLOSED) return;
      again = setTimeout(open, AGAIN_MS);
      void findSession()
        .then(tellRefusal)
        .catch(() => undefined);
    });
  };
  // A browser doesn't say why a stream was refused; silence would be a false reason.
  const tellRefusal = async () => {
    try {
      if (session.value) await requireGiven(EVENTS);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      heard();
      const { code, message } = error;
      trouble.value = { code, message };
    }
  };
  const close = () => {
    source?.close();
    clearTimeout(again);
  };
  const turn = () => {
    close();
    // What is shown is as old as it is, however lately somebody looks at it again.
    if (!document.hidden) open();
  };
  document.addEventListener("visibilitychange", turn);
  turn();
  const check = setInterval(() => {
    const atMs = Date.now();
    nowMs.value = atMs;
    if (document.hidden) return;
    if (atMs - heardMs > STALE_MS) silent.value = true;
    if (atMs - Math.max(heardMs, openedMs) > REOPEN_MS) turn();
  }, CHECK_MS);
  return () => {
    document.removeEventListener("visibilitychange", turn);
    close();
    clearInterval(check);
    batch(() => {
      snapshot.value = history.value = trouble.value = lookedMs.value = undefined;
      samples.value = [];
      silent.value = false;
    });
  };
}

function take(look: Snapshot): void {
  const of = new Map(
    look.puppetservers.map(({ name, perS, busy, waiting }) => [name, { perS, busy, waiting }]),
  );
  const atMs = Date.now();
  const before = samples.value.slice(1 - SAMPLES_MAX);
  const isGap = atMs - (before.at(-1)?.atMs ?? atMs) > STALE_MS;
  // A line over what nobody has seen would be made up.
  const gap = isGap ? [{ atMs: atMs - 1, of: new Map<string, Figures>() }] : [];
  batch(() => {
    trouble.value = undefined;
    snapshot.value = look;
    lookedMs.value = atMs;
    samples.value = [...before, ...gap, { atMs, of }];
  });
}
