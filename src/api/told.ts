// What somebody's calls to the API are in the history. Pure. Reading and planning are no deeds, and
// signing is in the CA's own record; every other change is told, refused ones too.

import type { Stage } from "../base/stages.ts";

/** A call that changes something, and how it came out. */
export interface Deed {
  /** The user or token. */
  who: string;
  /** Where from: an address, or `socket` for commands on this server. */
  from: string;
  /** Method and route, as in "POST /v1/members/remove". */
  what: string;
  /** What it was done to. */
  about: string;
  outcome: "done" | "failed" | "refused";
  /** The code of what went wrong; empty when nothing did. */
  code: string;
  /** How long it took; absent: not measured. */
  tookMs?: number;
}

/** Asked in the course of something that is told itself, or changing nothing. */
const SILENT = new Set([
  "POST /v1/ca/sign",
  "POST /v1/ca/generate",
  "POST /v1/config/plan",
  "POST /v1/eject/plan",
  "POST /v1/finish",
  "POST /v1/leave/plan",
  "POST /v1/leave/start",
  "POST /v1/members/removal-plan",
  "POST /v1/puppetserver/load",
  "POST /v1/server-certificate",
]);

const WORDS: Record<string, string> = {
  "POST /v1/tokens": "made a join token",
  "DELETE /v1/tokens/:id": "ended the join token",
  "POST /v1/config": "changed settings",
  "POST /v1/ca/crl/refresh": "had the CRL signed anew",
  "POST /v1/ca/crl/import": "took newer CRLs of the CAs above in",
  "POST /v1/ca/revoke": "revoked",
  "POST /v1/ca/clean": "cleaned",
  "POST /v1/server-certificate/reissue": "had servers' certificates made for",
  "POST /v1/members/remove": "removed",
  "POST /v1/leave": "had this server leave",
  "POST /v1/backends": "added the puppetserver",
  "DELETE /v1/backends/:name": "took out the puppetserver",
  "POST /v1/eject": "ended the cluster's CA",
  "POST /v1/eject/hand-over": "handed the CA directory over to stock Puppet Server",
  "POST /v1/puppetdb": "set what runs for PuppetDB here",
  "POST /v1/puppetdb/accept": "accepted this server's PuppetDB",
  "POST /v1/puppetdb/sync": "had this server's PuppetDB compared",
  "POST /v1/puppetdb/use": "sent queries to the PuppetDB of",
  "POST /v1/report-receivers": "added the receiver",
  "DELETE /v1/report-receivers/:name": "removed the receiver",
  "POST /v1/voters": "set how many vote:",
};

/** Whoever wasn't known. */
const NOBODY = "-";
/** What takes longer is told with how long it took. */
const TOLD_MS_MIN = 1000;

/** What is told of a deed; nothing where it is no history. */
export function tellDeed(
  deed: Deed,
): { kind: "command"; what: string; because: string; by: string; stages: Stage[] } | undefined {
  if (deed.what.startsWith("GET ") || SILENT.has(deed.what)) return undefined;
  // Strangers don't write history, however often they knock.
  if (deed.who === NOBODY) return undefined;
  const words = WORDS[deed.what] ?? deed.what;
  const tried = deed.outcome === "done" ? "" : "tried, and was refused: ";
  const from = deed.from === "socket" ? "" : ` from ${deed.from}`;
  const { tookMs = 0 } = deed;
  return {
    kind: "command",
    what: `${tried}${words} ${deed.about}`.trim(),
    because: deed.code,
    by: `${deed.who}${from}`,
    // What was quick needs no figure.
    stages: tookMs < TOLD_MS_MIN ? [] : [{ what: "all of it", ms: tookMs }],
  };
}

/** Parts of a request's body that tell what it is about; never a secret. */
const TELLING = ["id", "name", "names", "serials", "altNames", "role", "voters"] as const;
const NAMED_MAX = 5;

/** What a request is done to, by its path's parameters, its body, and what changed by the answer. */
export function aboutOf(params: Record<string, string>, body: string, answer = ""): string {
  const parts = Object.values(params);
  const { changes } = parse(answer);
  if (Array.isArray(changes)) {
    parts.push(listOf(changes.map((change: { key?: unknown }) => String(change?.key))));
  }
  const values = parse(body);
  for (const key of TELLING) {
    const value = values[key];
    const all = Array.isArray(value) ? value.map(String) : [];
    if (typeof value === "string" || typeof value === "number") parts.push(String(value));
    if (all.length > 0) parts.push(listOf(all));
  }
  return parts.join(" ");
}

/** "a, b and 3 more". */
function listOf(all: readonly string[]): string {
  const shown = all.slice(0, NAMED_MAX).join(", ");
  return all.length > NAMED_MAX ? `${shown} and ${all.length - NAMED_MAX} more` : shown;
}

function parse(body: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
