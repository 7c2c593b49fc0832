// What somebody's calls to the API are in the history. Pure. Reading and planning are no deeds, and
// signing is in the CA's own record; every other change is told, failed ones too.

import type { Stage } from "../base/stages.ts";
import type { EventName } from "../cluster/history/events.ts";
import type { AuditEntry } from "./audit.ts";

/** Asked in the course of something that is told itself, or changing nothing. */
const SILENT = new Set([
  "POST /v1/ca/sign",
  "POST /v1/ca/generate",
  "POST /v1/config/plan",
  "POST /v1/drill/plan",
  "POST /v1/failover/plan",
  "POST /v1/switchover/plan",
  "POST /v1/eject/plan",
  "POST /v1/finish",
  "POST /v1/leave/plan",
  "POST /v1/leave/start",
  "POST /v1/probe",
  "POST /v1/members/removal-plan",
  "POST /v1/alerts/test",
  "POST /v1/hooks/test",
  "POST /v1/puppetserver/load",
  "POST /v1/roll/plan",
  "POST /v1/server-certificate",
  "POST /session",
  "POST /v1/upgrade/plan",
]);

const WORDS: Record<string, string> = {
  "POST /v1/access": "made an access token:",
  "DELETE /v1/access/:name": "ended the access token",
  "POST /v1/api": "put the API on the network",
  "DELETE /v1/api": "took the API off the network",
  "POST /v1/etcd/make-room": "had etcd's database give back what it doesn't need",
  "POST /v1/switchover": "moved virtual IPs:",
  "POST /v1/switchover/stop": "stopped the move of virtual IPs",
  "POST /v1/failover": "took the virtual IP",
  "POST /v1/drill": "began the drill",
  "POST /v1/drill/stop": "stopped the drill",
  "POST /v1/drains": "drained",
  "DELETE /v1/drains/:name": "undrained",
  "POST /v1/roll": "had puppetservers restarted one after another:",
  "DELETE /v1/roll": "stopped what is done to one server after another",
  "POST /v1/upgrade": "had servers upgraded one after another:",
  "POST /v1/pauses": "paused",
  "POST /v1/pauses/end": "ended the pause",
  "POST /v1/tokens": "made a join token",
  "DELETE /v1/tokens/:id": "ended the join token",
  "POST /v1/config": "changed settings",
  "POST /v1/alerts/channels": "had alerts sent to",
  "DELETE /v1/alerts/channels/:name": "had no more alerts sent to",
  "POST /v1/alerts/failed-runs": "had agents' failed runs told:",
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

interface Told {
  kind: "command";
  event?: EventName;
  what: string;
  because: string;
  by: string;
  stages: Stage[];
}

/** Deeds that hooks are told of by a name of their own, when they are done. */
const EVENT_OF: Record<string, EventName> = {
  "POST /v1/switchover": "switchover",
  "POST /v1/failover": "failover",
};

/** What is told of a deed; nothing where it is no history. */
export function tellDeed(deed: AuditEntry): Told | undefined {
  if (deed.what.startsWith("GET ") || SILENT.has(deed.what)) return undefined;
  // Strangers don't write history, nor does who may not: however often they knock.
  if (deed.who === NOBODY || deed.code === "access.role") return undefined;
  const words = WORDS[deed.what] ?? deed.what;
  // Whether it was refused or failed halfway, with something done by then, its code says.
  const tried = deed.outcome === "done" ? "" : "tried, and it failed: ";
  const from = deed.from === "socket" ? "" : ` from ${deed.from}`;
  const { tookMs } = deed;
  const event = deed.outcome === "done" ? EVENT_OF[deed.what] : undefined;
  return {
    kind: "command",
    ...(event && { event }),
    what: `${tried}${words} ${deed.about}`.trim().replace(/:$/, ""),
    because: deed.code,
    by: `${deed.who}${from}`,
    // What was quick needs no figure.
    stages: tookMs < TOLD_MS_MIN ? [] : [{ what: "all of it", ms: tookMs }],
  };
}
