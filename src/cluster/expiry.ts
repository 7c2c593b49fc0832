// What ends some day: the Puppet CA, revocation lists, servers' certificates, our own CAs. Pure.
// The idea: what nobody renews unasked is warned of from 90 days on; what is renewed by itself only
// when that is overdue, so that a warning always means that there is something to do.

import { z } from "zod";
import { warning, type Warning } from "./warning.ts";

const DAY_MS = 86_400_000;
/** What ends sooner than this is warned of. */
const SOON_MS = 90 * DAY_MS;
/** The same for what a site renews by means of its own, or in a minute. */
const SHORTLY_MS = 14 * DAY_MS;
/** What stops everything and ends sooner than this is critical; of a short life, half as soon. */
const LAST_MS = 7 * DAY_MS;
/** How long a renewal by itself may take: a member was off, a clock wrong. */
const OVERDUE_MS = 7 * DAY_MS;

/** One thing that ends. A version to come may know further kinds. */
export const Expiry = z.object({
  kind: z.string(),
  /** Its name: a subject, a file. */
  what: z.string(),
  /** ISO times: since when it has been in force, and when it ends. */
  from: z.string(),
  to: z.string(),
  /** When it was due to be renewed by itself; absent: somebody has to. */
  due: z.string().optional(),
});
export type Expiry = z.infer<typeof Expiry>;

interface Kind {
  name: string;
  /** Whether it is the same on all members, so that it is told once. */
  shared: boolean;
  todo: string;
  /** What ends sooner than this is warned of; SOON_MS if it isn't said. */
  soonMs?: number;
}

const KINDS = {
  "puppet-ca": {
    name: "the Puppet CA",
    shared: true,
    todo: "All certificates end with it, and Understudy doesn't renew it: agents need its successor before that day.",
  },
  "puppet-crl": {
    name: "the CRL of the Puppet CA",
    shared: true,
    todo: "What is in the way: understudy ca crl refresh",
  },
  "parent-crl": {
    name: "the CRL of a CA above the Puppet CA",
    shared: true,
    todo: "Agents refuse every certificate from then on. Get a newer one from who keeps that CA, then: understudy ca crl import FILE",
  },
  "server-certificate": {
    name: "its Puppet certificate",
    shared: false,
    todo: "Agents refuse it from then on. A server should have renewed it by itself: there, understudy ca reissue says why not. A compiler: understudy leave, delete that file, understudy join.",
  },
  "cluster-ca": {
    name: "the cluster's own CA",
    shared: true,
    todo: "Members refuse each other from then on, and this version doesn't renew it: install one that does.",
  },
  "api-certificate": {
    name: "the certificate of its API",
    shared: false,
    todo: "Put the next one there, and its key: they are taken by themselves.",
    soonMs: SHORTLY_MS,
  },
  "access-token": {
    name: "the access token",
    shared: true,
    todo: "Whoever uses it is refused from then on: make another (understudy access create), then revoke this one.",
    soonMs: SHORTLY_MS,
  },
} satisfies Record<string, Kind>;

export type ExpiryKind = keyof typeof KINDS;

const FOREIGN: Kind = { name: "", shared: false, todo: "A newer version knows what to do." };

/** What is to be said of one thing; undefined while there is nothing to do. */
export function judgeExpiry(expiry: Expiry, nowMs: number): string | undefined {
  const { what, due } = expiry;
  const [fromMs, toMs] = [Date.parse(expiry.from), Date.parse(expiry.to)];
  const { name, todo, soonMs: ofKindMs = SOON_MS } = kindOf(expiry);
  const subject = name === "" ? what : `${name} (${what})`;
  const ends = `${toMs <= nowMs ? "has ended" : "ends"} on ${dayOf(toMs)}`;
  if (due !== undefined) {
    const dueMs = Date.parse(due);
    if (nowMs < dueMs + OVERDUE_MS) return undefined;
    return `${subject} should have been renewed on ${dayOf(dueMs)} and wasn't; it ${ends}. ${todo}`;
  }
  // A list that is made for a month would be warned of all its life.
  const soonMs = Math.min(ofKindMs, (toMs - fromMs) / 3);
  return toMs - nowMs < soonMs ? `${subject} ${ends}. ${todo}` : undefined;
}

/** Warnings of a cluster's members: what is the same on all of them once, else with who. */
export function expiryWarnings(
  members: readonly { id: string; expiries: readonly Expiry[] }[],
  nowMs: number,
): Warning[] {
  const warnings = members.flatMap(({ id, expiries }) =>
    expiries.flatMap((expiry) => {
      const text = judgeExpiry(expiry, nowMs);
      if (text === undefined) return [];
      const kind = expiry.due === undefined ? "expiry-near" : "expiry-overdue";
      // A CA and its list have the same name.
      const subject = expiry.kind.endsWith("-crl") ? `CRL ${expiry.what}` : expiry.what;
      const told = kindOf(expiry).shared
        ? warning(kind, subject, capital(text))
        : warning(kind, `${id} ${subject}`, `${id}: ${text}`);
      return [isLast(expiry, nowMs) ? { ...told, severity: "critical" as const } : told];
    }),
  );
  return [...new Map(warnings.map((each) => [each.text, each])).values()];
}

/** Whether runs will fail within days; what a site renews in a minute fails none. */
function isLast(expiry: Expiry, nowMs: number): boolean {
  const [fromMs, toMs] = [Date.parse(expiry.from), Date.parse(expiry.to)];
  if (kindOf(expiry).soonMs !== undefined) return false;
  return toMs - nowMs < Math.min(LAST_MS, (toMs - fromMs) / 6);
}

function kindOf({ kind }: Expiry): Kind {
  return Object.hasOwn(KINDS, kind) ? KINDS[kind as ExpiryKind] : FOREIGN;
}

const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
