// Durations as Puppet and people write them: "5y", "90d", "1h30m", "45s", a bare number of seconds.

import { Fault } from "./fault.ts";

const SECONDS: Record<string, number> = { y: 31_536_000, d: 86_400, h: 3600, m: 60, s: 1 };

/** Seconds in `text`. Years have 365 days, as in Puppet. Throws Fault `base.duration`. */
export function parseDuration(text: string): number {
  const compact = text.replaceAll(" ", "");
  if (/^\d+$/.test(compact)) return Number(compact);
  if (!/^(\d+[ydhms])+$/.test(compact)) {
    throw new Fault(
      "base.duration",
      `"${text}" is no duration: use y, d, h, m, s, as in 90d or 1h30m`,
    );
  }
  let seconds = 0;
  for (const [, count, unit] of compact.matchAll(/(\d+)([ydhms])/g)) {
    seconds += Number(count) * (SECONDS[unit ?? "s"] ?? 1);
  }
  return seconds;
}

/** The largest one or two units of `seconds`, for people: "2d 3h", "45s". */
export function renderDuration(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(seconds));
  for (const [unit, size] of Object.entries(SECONDS)) {
    if (rest >= size && parts.length < 2) {
      parts.push(`${Math.floor(rest / size)}${unit}`);
      rest %= size;
    }
  }
  return parts.length === 0 ? "0s" : parts.join(" ");
}
