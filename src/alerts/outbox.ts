// What is to be sent to which channel, and what becomes of it. Pure. Whoever sends claims a message
// first and strikes it out after: one that dies in between has its message sent by the next once
// the claim has run out, so a message is sent once, or twice where its sender died in that moment,
// but not never. Danger: a channel that takes nothing must not hold up the others, or grow.

import { CLOCK_OFFSET_MAX_MS } from "../cluster/clock.ts";
import type { AlertChannel } from "../cluster/schema.ts";
import { type Warning, warning } from "../cluster/warning.ts";
import { rank } from "./judge.ts";
import type { Sent } from "./send-mail.ts";
import type { AlertChange, AlertState, Message, Standing } from "./state.ts";

/** Messages that wait for one channel; of more the oldest go. */
export const WAITING_MAX = 50;
/**
 * All that waits, as the record has it: with all that is known it stays below half of what etcd
 * takes in one value.
 */
const OUTBOX_BYTES_MAX = 400_000;
/** Changes in one message; the rest is counted. */
export const CHANGES_MAX = 25;
/** How long a claim holds: longer than an attempt may take. */
export const CLAIM_MS = 90_000;
/** After a failed attempt, doubled each time up to the most. */
const AGAIN_MS = 30_000;
const AGAIN_MS_MAX = 1_800_000;
/** A message that nobody took is given up after so long. */
export const GIVE_UP_MS = 86_400_000;
/** So many failed attempts in a row make a channel a warning. */
const TROUBLED_FAILURES = 3;
const BECAUSE_MAX = 300;

/** Whether a channel is to be told of this. */
export function wants(
  channel: AlertChannel,
  { kind, severity, subject }: Pick<AlertChange, "kind" | "severity" | "subject">,
): boolean {
  // A channel can't be told that it takes nothing.
  if (kind === "alerts-channel" && subject === channel.name) return false;
  if (rank(severity) < rank(channel.minSeverity)) return false;
  if (channel.kinds !== undefined && !channel.kinds.some((each) => covers(each, kind)))
    return false;
  return !(channel.except ?? []).some((each) => covers(each, kind));
}

/** `etcd` covers etcd-alarm and its like; a whole name itself. */
function covers(wanted: string, kind: string): boolean {
  return kind === wanted || kind.startsWith(`${wanted}-`);
}

/** One message for each channel that wants any of `changes`. */
export function messagesOf(
  changes: readonly AlertChange[],
  channels: readonly AlertChannel[],
  { atMs, newId }: { atMs: number; newId: () => string },
): Message[] {
  return channels.flatMap((channel) => {
    const wanted = changes
      .filter((change) => wants(channel, change))
      .toSorted((a, b) => rank(b.severity) - rank(a.severity));
    if (wanted.length === 0) return [];
    const more = Math.max(0, wanted.length - CHANGES_MAX);
    const told = wanted.slice(0, CHANGES_MAX);
    return [{ ...emptyMessage(channel.name, newId(), atMs), changes: told, more }];
  });
}

export function emptyMessage(channel: string, id: string, atMs: number): Message {
  return { id, channel, atMs, changes: [], more: 0, tries: 0, nextMs: 0 };
}

/** The state with `messages` in its outbox; what is for channels that are no more is left out. */
export function enqueue(
  state: AlertState,
  messages: readonly Message[],
  channels: readonly AlertChannel[],
): AlertState {
  const names = new Set(channels.map(({ name }) => name));
  const all = [...state.outbox, ...messages].filter(({ channel }) => names.has(channel));
  const standings = Object.entries(state.channels).filter(([name]) => names.has(name));
  let after: AlertState = { ...state, outbox: all, channels: Object.fromEntries(standings) };
  for (const name of names) {
    const surplus = all.filter(({ channel }) => channel === name).slice(0, -WAITING_MAX);
    for (const message of surplus) after = drop(after, message);
  }
  let bytes = after.outbox.reduce((sum, message) => sum + sizeOf(message), 0);
  for (const message of after.outbox) {
    if (bytes <= OUTBOX_BYTES_MAX) break;
    after = drop(after, message);
    bytes -= sizeOf(message);
  }
  return after;
}

function sizeOf(message: Message): number {
  return Buffer.byteLength(JSON.stringify(message));
}

/** The messages to send now, one of each channel: in order, and none that somebody else sends. */
export function dueMessages({ outbox }: AlertState, self: string, nowMs: number): Message[] {
  // Farther ahead than right clocks let it be: whoever wrote it down had a wrong one.
  const isOver = (atMs: number, mostMs: number) =>
    atMs <= nowMs || atMs > nowMs + mostMs + CLOCK_OFFSET_MAX_MS;
  const first = new Map<string, Message>();
  for (const message of outbox) {
    const isAside = message.aside === true && !isOver(message.nextMs, AGAIN_MS_MAX);
    if (!isAside && !first.has(message.channel)) first.set(message.channel, message);
  }
  return [...first.values()].filter(({ claim, nextMs }) => {
    const isFree = claim === undefined || claim.by === self || isOver(claim.untilMs, CLAIM_MS);
    return isFree && isOver(nextMs, AGAIN_MS_MAX);
  });
}

/** The state in which `self` sends these; undefined where that isn't so any more. */
export function claimed(
  state: AlertState,
  ids: ReadonlySet<string>,
  self: string,
  nowMs: number,
): AlertState {
  const due = new Set(dueMessages(state, self, nowMs).map(({ id }) => id));
  const claim = { by: self, untilMs: nowMs + CLAIM_MS };
  const outbox = state.outbox.map((message) =>
    due.has(message.id) && ids.has(message.id) ? { ...message, claim } : message,
  );
  return { ...state, outbox };
}

/** What came of one attempt. */
export interface Attempt extends Sent {
  id: string;
  channel: string;
}

/** The state after an attempt: struck out, to be tried again, or given up. */
export function settled(state: AlertState, attempt: Attempt, nowMs: number): AlertState {
  const message = state.outbox.find(({ id }) => id === attempt.id);
  // Another has settled it.
  if (message === undefined) return state;
  const before = standingOf(state, attempt.channel);
  if (attempt.ok) {
    const standing = { failures: 0, because: "", sinceMs: nowMs, sentMs: nowMs };
    return without(withStanding(state, attempt.channel, { ...before, ...standing }), message);
  }
  const failures = before.failures + 1;
  const sinceMs = before.failures === 0 ? nowMs : before.sinceMs;
  const because = attempt.because.slice(0, BECAUSE_MAX);
  const after = withStanding(state, attempt.channel, { ...before, failures, sinceMs, because });
  if (attempt.refused === "partly") return without(after, message);
  if (nowMs - message.atMs >= GIVE_UP_MS) return drop(after, message);
  const { claim: _, aside: __, ...free } = message;
  const tries = message.tries + 1;
  const nextMs = nowMs + Math.min(AGAIN_MS * 2 ** (tries - 1), AGAIN_MS_MAX);
  const again = { ...free, tries, nextMs };
  // Behind all others, and out of their way, so that one that is never taken holds up none.
  if (attempt.refused === "itself") {
    return { ...after, outbox: [...without(after, message).outbox, { ...again, aside: true }] };
  }
  const outbox = after.outbox.map((each) => (each.id === message.id ? again : each));
  return { ...after, outbox };
}

/** Channels that take nothing. */
export function channelWarnings({ channels }: AlertState): Warning[] {
  return Object.entries(channels).flatMap(([name, { failures, because, dropped }]) => {
    if (failures < TROUBLED_FAILURES) return [];
    const given = dropped === 0 ? "" : ` (${dropped} messages were given up)`;
    const text = `alerts don't reach ${name}${given}: ${because}`;
    return [warning("alerts-channel", name, text)];
  });
}

export function standingOf({ channels }: AlertState, name: string): Standing {
  const known = Object.hasOwn(channels, name) ? channels[name] : undefined;
  return known ?? { failures: 0, because: "", sinceMs: 0, dropped: 0 };
}

function drop(state: AlertState, message: Message): AlertState {
  const standing = standingOf(state, message.channel);
  const counted = { ...standing, dropped: standing.dropped + 1 };
  return without(withStanding(state, message.channel, counted), message);
}

function without(state: AlertState, { id }: Message): AlertState {
  return { ...state, outbox: state.outbox.filter((each) => each.id !== id) };
}

function withStanding(state: AlertState, name: string, standing: Standing): AlertState {
  return { ...state, channels: { ...state.channels, [name]: standing } };
}
