// The names of what happens, for hooks, for the journal and for scripts: they stay, while words may
// change. Pure. Whatever has no name of its own goes by its kind (entry.ts).

import type { HistoryEntry } from "./entry.ts";

export const EVENTS = {
  "address-gained": "a server has a virtual address now",
  "address-lost": "a server has a virtual address no more",
  "alert-raised": "something is to be looked at, see alerts.md; in the journal only",
  "alert-resolved": "the same is over; in the journal only",
  "ca-changed": "a server's CA serves or doesn't, or the CA has gone elsewhere",
  certificate: "the cluster renewed certificates of its own",
  "clock-changed": "a clock is wrong, or right again",
  command: "somebody typed something that changes something",
  "courier-down": "a courier doesn't run",
  "courier-up": "a courier runs again",
  "crl-signed": "a CRL without a new revocation",
  daemon: "a daemon starts or stops",
  drill: "a drill begins or has ended",
  "edge-down": "HAProxy takes no agents on a server",
  "edge-up": "HAProxy takes agents again",
  "etcd-changed": "votes, leaders or alarms of etcd",
  failover: "an address was taken from a server that can't be asked",
  hook: "a hook has ended",
  "leader-gained": "a member runs the cluster's chores now",
  "leader-lost": "a member runs them no more",
  "member-changed": "a member joins, is ready, leaves or is gone",
  "member-down": "a member's daemon doesn't answer",
  "member-up": "a member's daemon answers again",
  "puppetdb-changed": "a PuppetDB may answer or not, queries go elsewhere",
  "puppetserver-down": "a puppetserver answers nobody, or is kept from answering",
  "puppetserver-up": "a puppetserver gets requests again",
  "record-lost": "a member can't reach the record",
  "record-reached": "it reaches it again",
  revocation: "certificates were revoked: one event for each burst",
  setting: "a setting of the cluster has changed",
  switchover: "an address was moved on purpose",
  version: "a member runs another version",
  work: "planned work: drains, pauses, restarts one after another",
} as const;
export type EventName = keyof typeof EVENTS;

const yes = (then: EventName, otherwise: EventName) => (state: string) =>
  state === "yes" ? then : otherwise;

/** What a topic of plan.ts is, in its new state. */
const OF_TOPICS: Record<string, (state: string) => EventName> = {
  address: yes("address-gained", "address-lost"),
  leader: yes("leader-gained", "leader-lost"),
  record: yes("record-reached", "record-lost"),
  edge: yes("edge-up", "edge-down"),
  courier: yes("courier-up", "courier-down"),
  answers: yes("member-up", "member-down"),
  puppetserver: (state) => (state === "up" ? "puppetserver-up" : "puppetserver-down"),
  unfit: (state) => (state === "fit" ? "puppetserver-up" : "puppetserver-down"),
  member: () => "member-changed",
  ca: () => "ca-changed",
  "ca-of": () => "ca-changed",
  clock: () => "clock-changed",
  etcd: () => "etcd-changed",
  alarms: () => "etcd-changed",
  voters: () => "etcd-changed",
  puppetdb: () => "puppetdb-changed",
  queries: () => "puppetdb-changed",
  "puppetdb-of": () => "puppetdb-changed",
  "puppetdb-accepted": () => "puppetdb-changed",
};

/** The event of a topic that came to `state`; undefined: it goes by its kind. */
export function eventOfTopic(topic: string, state: string): EventName | undefined {
  return Object.hasOwn(OF_TOPICS, topic) ? OF_TOPICS[topic]?.(state) : undefined;
}

/** What hooks and the journal call an entry. */
export function eventOf({ event, kind }: Pick<HistoryEntry, "event" | "kind">): string {
  if (event !== undefined) return event;
  if (kind === "crl") return "crl-signed";
  return Object.hasOwn(EVENTS, `${kind}-changed`) ? `${kind}-changed` : kind;
}
