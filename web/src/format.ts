// Figures and times in words.

import { renderDuration } from "../../src/base/duration.ts";

/** "2m 5s ago". Clocks differ: what is ahead by some seconds is now. */
export function ago(ms: number, nowMs = Date.now()): string {
  const seconds = (nowMs - ms) / 1000;
  return seconds < 1 ? "now" : `${renderDuration(seconds)} ago`;
}

/** Date and time here, as in "2026-11-20 13:00:00". */
export function localTime(ms: number): string {
  const at = new Date(ms);
  const two = (part: number) => String(part).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** "1 request", "3 requests". */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}

export function seconds(ms: number): string {
  return ms === 0 ? "-" : `${(ms / 1000).toFixed(2)} s`;
}
