// How often something may happen, by who does it. The idea: a bucket a key that fills up again with
// time. The table is bounded: whoever came longest ago is forgotten first. Pure; time comes in.

import { isIPv6 } from "node:net";
import type { HttpBindings } from "@hono/node-server";

export interface RateLimit {
  /** How many at once. */
  burst: number;
  /** How many a second in the long run. */
  perS: number;
  /** How many keys are remembered. */
  keysMax: number;
}

export interface RateLimiter {
  /** Takes one for `key`, if there is one. `nowMs` is monotonic. */
  take(key: string, nowMs: number): boolean;
  /** How many keys are remembered now. */
  size(): number;
}

export function createRateLimiter({ burst, perS, keysMax }: RateLimit): RateLimiter {
  const buckets = new Map<string, { left: number; atMs: number }>();
  return {
    size: () => buckets.size,
    take(key, nowMs) {
      const before = buckets.get(key) ?? { left: burst, atMs: nowMs };
      const filled = before.left + ((nowMs - before.atMs) / 1000) * perS;
      const left = Math.min(burst, filled);
      const granted = left >= 1;
      // The newest stands last.
      buckets.delete(key);
      buckets.set(key, { left: granted ? left - 1 : left, atMs: nowMs });
      const [oldest] = buckets.keys();
      if (buckets.size > keysMax && oldest !== undefined) buckets.delete(oldest);
      return granted;
    },
  };
}

/** An address as logs show it: IPv4 over an IPv6 socket is IPv4. */
export function plainAddress(address: string | undefined): string {
  return address?.replace(/^::ffff:(?=\d+\.)/i, "") ?? "unknown";
}

/** The address of who asks. */
export function addressOf({ incoming }: HttpBindings): string {
  return plainAddress(incoming.socket.remoteAddress);
}

/** What limits count an address as: one host has a whole /64 of IPv6. */
export function sourceOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("%")[0]?.split("::") ?? [];
  const groups = head === "" ? [] : head.split(":");
  const after = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - after.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...after];
  return `${all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
