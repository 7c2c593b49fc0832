// Times as an administrator on this server reads and types them: in the server's own time zone.

import { Fault } from "./fault.ts";

const DAY_MS = 86_400_000;
const YEAR_MS = 366 * DAY_MS;

/** "15:00" for a time within 20 hours of `nowMs`, else "2026-12-01 15:00". */
export function renderLocalTime(ms: number, nowMs: number): string {
  const at = new Date(ms);
  const two = (count: number) => String(count).padStart(2, "0");
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  // Later than that, it could be taken for today's.
  if (Math.abs(ms - nowMs) < 20 * 3_600_000) return time;
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${time}`;
}

/**
 * The time that `text` names, milliseconds: "15:00" is the next one, "2026-12-01 15:00" is in this
 * server's time zone, "2026-12-01T15:00:00Z" in its own. Throws Fault `base.time` for anything
 * else, and for what isn't within a year from now.
 */
export function parseLocalTime(text: string, nowMs: number): number {
  const ms = readTime(text.trim(), nowMs);
  if (ms === undefined || Number.isNaN(ms)) {
    throw new Fault("base.time", `"${text}" is no time: as in 15:00 or 2026-12-01 15:00`);
  }
  if (ms <= nowMs) throw new Fault("base.time", `${text} is over`);
  if (ms > nowMs + YEAR_MS) throw new Fault("base.time", `${text} is more than a year from now`);
  return ms;
}

function readTime(text: string, nowMs: number): number | undefined {
  const clock = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (clock !== null) {
    const at = new Date(nowMs);
    at.setHours(Number(clock[1]), Number(clock[2]), 0, 0);
    if (at.getTime() <= nowMs) at.setDate(at.getDate() + 1);
    return at.getTime();
  }
  if (!/^\d{4}-\d\d-\d\d[ T]\d\d:\d\d/.test(text)) return undefined;
  return Date.parse(text.replace(" ", "T"));
}
