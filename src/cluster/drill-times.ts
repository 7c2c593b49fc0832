// When drills are held, and when they may be: text as people type it, days and times of UTC, so
// that it means the same whichever member leads. Pure.

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"] as const;
const DAY_MINUTES = 1440;
const WEEK_MINUTES = 7 * DAY_MINUTES;
const MINUTE_MS = 60_000;
/** A slot that nobody saw is held so much later at most; then the next one is waited for. */
export const SLOT_LATE_MS = 600_000;

/** Minutes of a week that begins on Sunday at 00:00 UTC. */
export interface WeekTime {
  /** Absent: every day. */
  day?: number;
  minute: number;
}

/** Reads "Tue 10:00" or "daily 10:00"; undefined for anything else. */
export function parseSlot(text: string): WeekTime | undefined {
  const [, word = "", time = ""] = /^(\w+) (\S+)$/.exec(text.trim()) ?? [];
  const minute = minuteOf(time);
  if (minute === undefined || minute >= DAY_MINUTES) return undefined;
  if (word.toLowerCase() === "daily") return { minute };
  const day = dayOf(word);
  return day === undefined ? undefined : { day, minute };
}

/** When the slot last began at or before `nowMs`. */
export function lastSlotMs({ day, minute }: WeekTime, nowMs: number): number {
  const period = day === undefined ? DAY_MINUTES : WEEK_MINUTES;
  const at = day === undefined ? minute : day * DAY_MINUTES + minute;
  const now = weekMinute(nowMs) % period;
  const behind = (now - at + period) % period;
  return Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - behind * MINUTE_MS;
}

interface Planned {
  kind: string;
  when: string;
}

interface Since {
  /** It wasn't planned until then; absent: it may have been all along. */
  sinceMs?: number | undefined;
}

/** `drills` with since when each is planned; `before`: those that there were at `lookedMs`. */
export function withSince<T extends Planned>(
  drills: readonly T[],
  before: readonly (Planned & Since)[],
  lookedMs: number,
): (T & Since)[] {
  return drills.map((drill) => {
    const same = before.find(({ kind, when }) => kind === drill.kind && when === drill.when);
    return { ...drill, sinceMs: same === undefined ? lookedMs : same.sinceMs };
  });
}

/**
 * What is to be held now, each with a name of its own: the same whoever asks. Whoever plans one for
 * a time that has just passed means the next.
 */
export function dueSlots<T extends Planned & Since>(
  drills: readonly T[],
  nowMs: number,
): { drill: T; slot: string }[] {
  return drills.flatMap((drill) => {
    const time = parseSlot(drill.when);
    if (time === undefined) return [];
    const atMs = lastSlotMs(time, nowMs);
    if (nowMs - atMs >= SLOT_LATE_MS || atMs <= (drill.sinceMs ?? -Infinity)) return [];
    return [{ drill, slot: `${drill.kind} ${new Date(atMs).toISOString()}` }];
  });
}

/** A part of the week: whole days from `from` to `to`, and on each of them these minutes. */
export interface Window {
  days: readonly number[];
  fromMinute: number;
  toMinute: number;
}

/**
 * Reads "Mon-Fri 09:00-17:00", "Sat 00:00-24:00" or "daily 09:00-17:00"; undefined for anything
 * else. It doesn't go over midnight: that is two.
 */
export function parseWindow(text: string): Window | undefined {
  const [, days = "", from = "", to = ""] = /^(\S+) ([\d:]+)-([\d:]+)$/.exec(text.trim()) ?? [];
  const [fromMinute, toMinute] = [minuteOf(from), minuteOf(to)];
  const list = daysOf(days);
  if (fromMinute === undefined || toMinute === undefined || list === undefined) return undefined;
  return fromMinute < toMinute ? { days: list, fromMinute, toMinute } : undefined;
}

/** Whether `nowMs` lies in one of them; in none where there is none that can be read. */
export function inWindows(windows: readonly string[], nowMs: number): boolean {
  const week = weekMinute(nowMs);
  const [day, minute] = [Math.floor(week / DAY_MINUTES), week % DAY_MINUTES];
  return windows.some((text) => {
    const window = parseWindow(text);
    if (window === undefined || !window.days.includes(day)) return false;
    return window.fromMinute <= minute && minute < window.toMinute;
  });
}

/** Whether the slot `when` lies in one of `windows` on some day; always where there is none. */
export function isEverIn(when: string, windows: readonly string[]): boolean {
  const time = parseSlot(when);
  if (time === undefined || windows.length === 0) return true;
  const dayMs = DAY_MINUTES * MINUTE_MS;
  return [0, 1, 2, 3, 4, 5, 6].some((days) =>
    inWindows(windows, lastSlotMs(time, WEEK_MINUTES * MINUTE_MS + days * dayMs)),
  );
}

function daysOf(text: string): number[] | undefined {
  if (text.toLowerCase() === "daily") return [0, 1, 2, 3, 4, 5, 6];
  const [first = "", last = first, ...more] = text.split("-");
  const [from, to] = [dayOf(first), dayOf(last)];
  if (from === undefined || to === undefined || more.length > 0) return undefined;
  // Fri-Mon goes over the end of the week.
  const count = ((to - from + 7) % 7) + 1;
  return Array.from({ length: count }, (_, index) => (from + index) % 7);
}

function dayOf(word: string): number | undefined {
  const index = DAYS.findIndex((day) => day.toLowerCase() === word.toLowerCase());
  return index < 0 ? undefined : index;
}

function minuteOf(text: string): number | undefined {
  const [, hours, minutes] = /^(\d\d?):(\d\d)$/.exec(text) ?? [];
  const minute = Number(hours) * 60 + Number(minutes);
  return Number(minutes) < 60 && minute <= DAY_MINUTES ? minute : undefined;
}

function weekMinute(ms: number): number {
  const at = new Date(ms);
  return at.getUTCDay() * DAY_MINUTES + at.getUTCHours() * 60 + at.getUTCMinutes();
}
