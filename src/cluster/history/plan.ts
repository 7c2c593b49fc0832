// What of the difference between two looks is history, and in which words. Pure. What several
// members see carries what it is of and as what, so that the record has it once; what only one can
// know (its own address, its own edge) has no such mark.

import type { Burst, Draft } from "./entry.ts";
import { eventOfTopic } from "./events.ts";
import { type Fact, type Facts, GONE } from "./facts.ts";
import type { Change } from "./limit.ts";

/** A burst of revocations has ended when no CRL followed for so long. */
const BURST_MS = 10_000;

interface Turn {
  /** The member that looks. */
  self: string;
  name: string;
  /** Undefined: it wasn't there. */
  from: Fact | undefined;
  to: Fact;
}

type Told = Omit<Draft, "atMs" | "seen">;

interface Topic {
  /** Whether other members see the same. */
  shared?: true;
  /** Whether its first appearance is told. */
  appears?: true;
  tell(turn: Turn): Told | undefined;
}

/** What is to be told of `after`, in its order; nothing at the first look. */
export function planHistory(before: Facts, after: Facts, self: string, nowMs: number): Change[] {
  if (Object.keys(before).length === 0) return [];
  return Object.entries(after).flatMap(([subject, to]) => {
    const [topicName = "", name = ""] = subject.split(" ");
    const topic = Object.hasOwn(TOPICS, topicName) ? TOPICS[topicName] : undefined;
    const from = before[subject];
    if (topic === undefined || from?.state === to.state) return [];
    if (from === undefined && topic.appears !== true) return [];
    const told = topic.tell({ self, name, from, to });
    if (told === undefined) return [];
    const seen = topic.shared === true ? { seen: { subject, state: to.state } } : {};
    const event = eventOfTopic(topicName, to.state);
    const of = { ...(event && { event }), subject: name === "" ? self : name };
    const draft: Draft = { ...of, ...told, ...seen, atMs: nowMs };
    return [told.burst === undefined ? { subject, draft } : asBurst(subject, draft)];
  });
}

/** CRLs that follow each other closely are one burst. */
function asBurst(subject: string, draft: Draft): Change {
  const merge = (former: Draft): Draft => {
    const [a, b] = [former.burst, draft.burst];
    if (a === undefined || b === undefined) return draft;
    const burst = { ...b, revoked: a.revoked + b.revoked, first: a.first };
    return { ...draft, ...tellCrl(burst), atMs: former.atMs };
  };
  return { subject, draft, settleMs: BURST_MS, merge };
}

const because = (fact: Fact) => (fact.because ? { because: fact.because } : {});

const TOPICS: Record<string, Topic> = {
  address: {
    tell: ({ self, name, to }) => ({
      kind: "address",
      what: to.state === "yes" ? `${self} holds ${name}` : `${self} holds ${name} no more`,
      ...because(to),
      by: "keepalived",
    }),
  },
  leader: {
    tell: ({ self, to }) => ({
      kind: "leader",
      what: `${self} ${to.state === "yes" ? "runs" : "runs no more"} the cluster's chores`,
      by: "its lease in etcd",
    }),
  },
  etcd: { tell: tellEtcd },
  alarms: {
    shared: true,
    tell: ({ to }) => ({
      kind: "etcd",
      what: to.state === "" ? "etcd has no alarm any more" : `etcd has the alarm ${to.state}`,
      by: "etcd",
    }),
  },
  voters: {
    shared: true,
    tell: ({ from, to }) => ({
      kind: "etcd",
      what: `etcd's voters: ${to.state}`,
      because: `they were ${from?.state}`,
    }),
  },
  record: {
    tell: ({ self, to }) => ({
      kind: "record",
      what: `${self} ${to.state === "yes" ? "reaches the record again" : "can't reach the record"}`,
      ...because(to),
    }),
  },
  edge: {
    tell: ({ self, to }) => ({
      kind: "edge",
      what: `${self}'s edge is ${to.state === "yes" ? "up" : "down"}`,
      ...because(to),
    }),
  },
  certificate: {
    tell: ({ self, to }) => ({
      kind: "certificate",
      what: `${self} has a new Puppet certificate, until ${to.state}`,
      ...(to.because === undefined ? {} : { because: `for ${to.because}` }),
    }),
  },
  ca: {
    tell: ({ self, to }) => ({
      kind: "ca",
      what: `${self}'s CA ${to.state === "yes" ? "serves" : "doesn't serve"}`,
      ...because(to),
    }),
  },
  "ca-of": {
    shared: true,
    tell: ({ to }) => ({
      kind: "ca",
      what:
        to.state === "cluster"
          ? "the CA is the cluster's again"
          : `the CA has ended in favour of stock Puppet Server on ${to.state}`,
    }),
  },
  crl: {
    shared: true,
    tell({ from, to }) {
      const [first, last] = [Number(from?.state) + 1, Number(to.state)];
      if (!(last >= first)) return undefined;
      const total = to.count ?? 0;
      return tellCrl({ first, last, total, revoked: Math.max(0, total - (from?.count ?? 0)) });
    },
  },
  clock: {
    tell: ({ self, to }) => ({
      kind: "clock",
      what: `${self}'s clock is ${CLOCKS[to.state] ?? to.state}`,
      ...(to.state === "right" ? {} : because(to)),
    }),
  },
  version: {
    tell: ({ self, from, to }) => ({
      kind: "version",
      what: `${self} runs ${to.state}`,
      because: `it was ${from?.state}`,
    }),
  },
  puppetserver: {
    shared: true,
    tell: ({ self, name, from, to }) => ({
      kind: "puppetserver",
      what: `puppetserver ${name} is ${to.state}, was ${from?.state}`,
      ...because(to),
      by: `${self}'s edge saw it`,
    }),
  },
  courier: {
    tell: ({ self, to }) => ({
      kind: "puppetdb",
      what: `${self}'s courier ${to.state === "yes" ? "runs" : "doesn't run"}`,
      ...because(to),
    }),
  },
  puppetdb: {
    shared: true,
    tell: ({ self, name, to }) => ({
      kind: "puppetdb",
      what: `${name}'s PuppetDB ${to.state === "yes" ? "may answer" : "answers no"} queries`,
      ...because(to),
      by: `${self}'s courier`,
    }),
  },
  queries: {
    shared: true,
    tell: ({ self, from, to }) => ({
      kind: "puppetdb",
      what: `queries go to ${to.state}'s PuppetDB, before to ${from?.state}'s`,
      by: `${self}'s courier`,
    }),
  },
  answers: {
    shared: true,
    tell: ({ self, name, to }) => {
      if (to.state === GONE) return undefined;
      const what = to.state === "yes" ? "answers again" : "doesn't answer";
      return { kind: "member", what: `${name}'s daemon ${what}`, by: `${self} asked it` };
    },
  },
  member: { shared: true, appears: true, tell: tellMember },
  "puppetdb-of": {
    shared: true,
    tell: ({ name, from, to }) => {
      if (to.state === GONE) return undefined;
      const what = `${name}'s PuppetDB in the record: ${to.state}, was ${from?.state}`;
      return { kind: "puppetdb", what };
    },
  },
  "puppetdb-accepted": {
    shared: true,
    tell: ({ name, to }) =>
      to.state === GONE
        ? undefined
        : { kind: "puppetdb", what: `${name}'s PuppetDB was accepted with what it has` },
  },
  backends: {
    shared: true,
    tell: ({ name, to }) =>
      to.state === GONE
        ? undefined
        : { kind: "setting", what: `${name}'s puppetservers: ${to.state || "none"}` },
  },
  unfit: { shared: true, tell: tellUnfit },
  drain: {
    shared: true,
    appears: true,
    tell: ({ name, to }) =>
      to.state === GONE
        ? { kind: "work", what: `${name} is drained no more` }
        : { kind: "work", what: `${name} is drained until ${to.state}`, ...because(to) },
  },
  pause: {
    shared: true,
    appears: true,
    tell: ({ name, to }) =>
      to.state === GONE
        ? { kind: "work", what: `the pause of ${name} has ended` }
        : { kind: "work", what: `${name} paused until ${to.state}`, ...because(to) },
  },
  roll: {
    shared: true,
    appears: true,
    tell: ({ to }) =>
      to.state === GONE
        ? undefined
        : {
            kind: "work",
            what: `restarting one puppetserver after another: ${to.state}`,
            ...because(to),
          },
  },
  upgrade: {
    shared: true,
    appears: true,
    tell: ({ to }) =>
      to.state === GONE
        ? undefined
        : { kind: "work", what: `upgrading one server after another: ${to.state}`, ...because(to) },
  },
  setting: { shared: true, appears: true, tell: tellSetting },
};

const CLOCKS: Record<string, string> = {
  right: "right again",
  off: "off: it is to be set",
  wrong: "wrong: it signs nothing",
};

function tellEtcd({ self, from, to }: Turn): Told | undefined {
  if (to.state === "no") {
    return { kind: "etcd", what: `${self}'s etcd doesn't answer, or is no more`, ...because(to) };
  }
  if (to.state === "leader") return { kind: "etcd", what: `${self}'s etcd leads`, by: "etcd" };
  if (from?.state === "leader") {
    return { kind: "etcd", what: `${self}'s etcd leads no more`, by: "etcd" };
  }
  const now = to.state === "voter" ? "votes" : "copies, and doesn't vote yet";
  return { kind: "etcd", what: `${self}'s etcd ${now}`, ...because(to) };
}

/** A burst in words. */
export function tellCrl(burst: Burst): { kind: "crl" | "revocation"; what: string; burst: Burst } {
  const { revoked, first, last } = burst;
  const crls = first === last ? `CRL ${last}` : `CRLs ${first} to ${last}`;
  if (revoked === 0) return { kind: "crl", what: `${crls} signed, nothing new is revoked`, burst };
  const count = revoked === 1 ? "1 certificate" : `${revoked} certificates`;
  return { kind: "revocation", what: `${count} revoked (${crls})`, burst };
}

function tellMember({ name, from, to }: Turn): Told | undefined {
  const as = to.because === undefined ? "" : ` (${to.because})`;
  const words: Record<string, string> = {
    joining: `${name} joins${as}`,
    ready: from?.state === "leaving" ? `${name} stays after all` : `${name} is a member${as}`,
    leaving: `${name} is on its way out`,
    [GONE]: `${name} is no member any more`,
  };
  const what = words[to.state];
  if (what === undefined) return undefined;
  return { kind: "member", what, ...(to.state === GONE ? because(to) : {}) };
}

function tellUnfit({ name, to }: Turn): Told | undefined {
  if (to.state === GONE) return undefined;
  const gets = to.state === "fit" ? "gets requests again" : "gets no requests";
  return { kind: "puppetserver", what: `${name} ${gets}`, ...because(to) };
}

function tellSetting({ name, from, to }: Turn): Told {
  const [, chosen] = /^\{"id":"([^"]+)"/.exec(name === "puppetdbUse" ? to.state : "") ?? [];
  if (chosen !== undefined) {
    return { kind: "puppetdb", what: `queries were ordered to go to ${chosen}'s PuppetDB` };
  }
  const kind = name.startsWith("puppetdb") ? "puppetdb" : "setting";
  const now = to.state === GONE ? "not set" : to.state;
  const was = from === undefined ? "it wasn't set" : `it was ${from.state}`;
  return { kind, what: `${name} is ${now}`, because: was };
}
