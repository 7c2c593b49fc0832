// What is so, in the cluster: each member says it of itself, any member puts the answers together
// and judges them in words. It needs no etcd: without quorum it says so, and how old the cluster's
// view is.

import { z } from "zod";
import { renderDuration } from "../base/duration.ts";
import { ApiStatus } from "./api-status.ts";
import { capacityWarnings } from "./capacity.ts";
import { ClockStatus } from "./clock.ts";
import { CourierStatus, courierWarnings } from "./courier-status.ts";
import { DiskStatus } from "./disk-status.ts";
import { poisonWarnings, revocationWarnings } from "./edge-status.ts";
import { Expiry, expiryWarnings } from "./expiry.ts";
import { puppetserverWarnings, sumPuppetservers } from "./puppetservers.ts";
import { EdgeLoad } from "./load.ts";
import { memberWarnings } from "./member-status.ts";
import { Ejected, Member, Meta, Role, Settings } from "./schema.ts";
import { probeNotes, ProbeStatus } from "./probe-status.ts";
import { switchoverNotes, SwitchoverStatus } from "./switchover-status.ts";
import { judgeTolerance, type Tolerance } from "./tolerance.ts";
import { NO_WORK, rollUnderWay, Work } from "./work.ts";
import { textsOf, Warning, warning } from "./warning.ts";
import { workNotes, workWarnings } from "./work-status.ts";

const ALARMS: Record<string, string> = {
  NOSPACE: "its database is full (understudy member compact)",
  CORRUPT: "a member's data differs from the others'",
};

/** One puppetserver as one edge sees it. */
export const BackendStatus = z.object({
  name: z.string(),
  state: z.enum(["up", "starting", "down", "silent", "drained", "unknown"]),
  jrubies: z.int(),
  /** Requests of this edge that it works on. */
  busy: z.int(),
  /** Requests of this edge that wait for it. */
  queued: z.int().default(0),
  /** Requests of this edge since its daemon started, and per second between the last two looks. */
  total: z.int().default(0),
  perS: z.number().default(0),
  /** How long it takes to answer, mean of this edge's last 1024 requests, milliseconds. */
  responseMs: z.number().default(0),
  because: z.string().default(""),
});
export type BackendStatus = z.infer<typeof BackendStatus>;

/** `refused`: what etcd has isn't what the copy follows, and `because` of that it is kept. */
export const CopyVerdict = z.object({
  state: z.enum(["unknown", "same", "refused"]),
  because: z.string(),
});
export type CopyVerdict = z.infer<typeof CopyVerdict>;

/** What a member says of itself (`/v1/local`). */
export const LocalStatus = z.object({
  id: z.string(),
  role: Role,
  version: z.string(),
  phase: z.enum(["setup", "ready", "removed"]),
  wallMs: z.number(),
  record: z.object({ reachable: z.boolean(), because: z.string(), ageMs: z.number() }),
  etcd: z.object({
    runs: z.enum(["leader", "voter", "learner", "no"]),
    /** Whether it knows a leader: one that knows none votes for nothing. */
    hasLeader: z.boolean().default(true),
    /** Alarms of the whole etcd cluster, as in NOSPACE: it takes no changes. */
    alarms: z.array(z.string()).default([]),
    dbSizeBytes: z.number(),
    /** What is wrong with it, in etcd's words. */
    because: z.string(),
    /** What the leader does or waits for so that the wanted number votes; empty elsewhere. */
    planning: z.string().optional(),
  }),
  /** Virtual addresses that this member holds now. */
  addresses: z.array(z.string()),
  /** Connections that it serves, or passes on, since an address was moved on purpose. */
  switchovers: z.array(SwitchoverStatus).optional(),
  /** Whether an administrator keeps work from it now. */
  drained: z.boolean().optional(),
  /** What of Understudy is paused for it. */
  paused: z.array(z.string()).optional(),
  edge: z
    .object({
      active: z.boolean(),
      because: z.string(),
      /** Revocations of every CRL up to this number are refused by every worker of this edge. */
      confirmedCrl: z.int(),
      replays: z.int(),
      /** This server's Puppet certificate, as agents get it. */
      certificate: z.object({ names: z.array(z.string()), endsAt: z.string() }).optional(),
      /** The member whose stock CA this edge asks, and whether it answers; absent: daemons. */
      stockCa: z.object({ of: z.string(), up: z.boolean() }).optional(),
      /** Requests that wait at this edge because every puppetserver is busy. */
      waiting: z.int().default(0),
      /** Agents' connections here, and workers that only end those that they had. */
      connections: z.int().optional(),
      formerWorkers: z.int().optional(),
      /** How much work this edge had for puppetservers of late; absent: not known. */
      load: EdgeLoad.optional(),
      /** Nodes whose catalog requests took a puppetserver with them twice. */
      poisonous: z.array(
        z.object({
          certname: z.string(),
          at: z.string(),
          /** The puppetservers that were lost, as far as they are known. */
          servers: z.array(z.string()).default([]),
        }),
      ),
      backends: z.array(BackendStatus.extend({ member: z.string() })),
    })
    .optional(),
  ca: z
    .object({
      serving: z.boolean(),
      because: z.string(),
      requests: z.int(),
      certificates: z.int(),
      crlNumber: z.int(),
      crlNextUpdate: z.string(),
      /** Certificates that were ever revoked. */
      revocations: z.int().optional(),
      nextExpiry: z.object({ what: z.string(), at: z.string() }).optional(),
      directoryBehind: z.string(),
      /** Keys of the record that can't be understood here. */
      unreadable: z.array(z.string()).default([]),
      /** Files in the CA directory that the record doesn't account for. */
      unknownFiles: z.array(z.string()).default([]),
      /** Where the CA went; absent: it is the cluster's. */
      ejected: Ejected.extend({
        /** Whether this server's CA directory is stock Puppet Server's. */
        handedOver: z.boolean(),
      }).optional(),
    })
    .optional(),
  /** Whether its durable copy of the record follows what etcd has; absent: it keeps none. */
  copy: CopyVerdict.optional(),
  /** Its file systems; absent: a version that looks at none. */
  disks: z.array(DiskStatus).optional(),
  /** The courier for PuppetDB, where one is to run. */
  courier: CourierStatus.optional(),
  /** How far clocks are apart, as this member finds. */
  clock: ClockStatus.optional(),
  /** What of the history isn't in the record yet. */
  history: z.object({ waiting: z.int() }).optional(),
  /** What its synthetic agent measured; absent: the cluster isn't set to probe. */
  probe: ProbeStatus.optional(),
  /** What it has told of the record being gone; absent: it tells nothing. */
  alerts: z.object({ toldNoQuorum: z.boolean() }).optional(),
  /** The API for people; absent: a version without one. */
  api: ApiStatus.optional(),
  /** What ends some day, but agents' certificates. */
  expiries: z.array(Expiry).default([]),
  /** Warnings that only this member can know. */
  warnings: z.array(z.string()),
  /** The same with what they are; absent: a version that gives no kinds. */
  problems: z.array(Warning).optional(),
});
export type LocalStatus = z.infer<typeof LocalStatus>;

/** One member in the cluster's status: its record, and what it answered. */
export const MemberAnswer = z.object({
  member: Member,
  local: LocalStatus.optional(),
  /** Why there is no answer. */
  because: z.string(),
});
export type MemberAnswer = z.infer<typeof MemberAnswer>;

/** The whole status, as `understudy status --json` prints it. */
export const ClusterStatus = z.object({
  answeredBy: z.string(),
  meta: Meta,
  settings: Settings,
  members: z.array(MemberAnswer),
  etcd: z.object({
    voters: z.int(),
    answering: z.int(),
    /** Voters that don't count now, and why. */
    silent: z.array(z.object({ id: z.string(), because: z.string() })).default([]),
    quorum: z.boolean(),
    /** How old the view of the cluster is, milliseconds; small while the record answers. */
    viewAgeMs: z.number(),
    /** The view is from disk, where only its last change is dated: it may be younger. */
    viewAgeIsMost: z.boolean().default(false),
  }),
  /** Planned work, ended or not. */
  work: Work.default(NO_WORK),
  toleratedFailures: z.int(),
  verdict: z.string(),
  /** What is so by an administrator's wish. */
  notes: z.array(z.string()).default([]),
  warnings: z.array(z.string()),
  /** The same warnings with what they are; empty: a version that gives no kinds. */
  problems: z.array(Warning).default([]),
});
export type ClusterStatus = z.infer<typeof ClusterStatus>;

type Facts = Omit<
  ClusterStatus,
  "toleratedFailures" | "verdict" | "notes" | "warnings" | "problems"
> & {
  nowMs: number;
};

/** Judges the answers: how many failures are tolerated now, the verdict, and warnings in words. */
export function judgeStatus(facts: Facts): ClusterStatus {
  const { nowMs, ...status } = facts;
  const servers = facts.members.filter(({ member }) => member.role === "server");
  const puppetservers = sumPuppetservers(facts.members);
  const roll = rollUnderWay(facts.work);
  const problems = [
    ...etcdWarnings(facts),
    ...facts.members.flatMap((answer) => memberWarnings(answer, nowMs)),
    ...expiryWarnings(
      facts.members.map(({ member, local }) => ({
        id: member.id,
        expiries: local?.expiries ?? [],
      })),
      nowMs,
    ),
    // One that restarts by somebody's wish is expected to be away.
    ...puppetserverWarnings(puppetservers.filter(({ member }) => member !== roll?.now?.id)),
    ...addressWarnings(facts),
    ...revocationWarnings(servers),
    ...poisonWarnings(servers),
    ...courierWarnings(facts.members),
    ...workWarnings(facts.work, facts.members, nowMs),
    ...(roll?.now === undefined ? capacityWarnings(facts.members) : []),
  ];
  const compiling = facts.members.filter(
    ({ member }) =>
      member.backends.length > 0 || puppetservers.some((each) => each.member === member.id),
  );
  const up = puppetservers.filter(({ state }) => state === "up");
  const tolerance = judgeTolerance({
    servers: servers.length,
    edgesUp: servers.filter(({ local }) => local?.edge?.active === true).length,
    etcd: facts.etcd,
    alarms: alarmsOf(facts),
    compiling: { all: compiling.length, up: new Set(up.map(({ member }) => member)).size },
  });
  return {
    ...status,
    toleratedFailures: tolerance.failures,
    verdict: renderVerdict(facts.settings.sharedName, servers.length, tolerance, problems.length),
    notes: [
      ...workNotes(facts.work, facts.members, nowMs),
      ...switchoverNotes(facts.members),
      ...probeNotes(facts.members),
    ],
    warnings: textsOf(problems),
    problems,
  };
}

/** Whether a member's own etcd counts towards a majority: it votes, and knows a leader. */
export function isVoting(local: LocalStatus | undefined): boolean {
  if (local === undefined || !local.etcd.hasLeader) return false;
  return local.etcd.runs === "leader" || local.etcd.runs === "voter";
}

function renderVerdict(
  name: string,
  servers: number,
  { failures, because }: Tolerance,
  warnings: number,
): string {
  const count = servers === 1 ? "1 server" : `${servers} servers`;
  const tolerated = failures === 1 ? "1 failure" : `${failures} failures`;
  const why = because === "" ? "" : ` (${because})`;
  const state = warnings === 0 ? "Every promise holds." : `${warnings} to look at below.`;
  return `${name}: ${count}, tolerates ${tolerated}${why}. ${state}`;
}

function alarmsOf({ members }: Facts): string[] {
  return [...new Set(members.flatMap(({ local }) => local?.etcd.alarms ?? []))].toSorted();
}

function etcdWarnings(facts: Facts): Warning[] {
  const { voters, answering, quorum, silent } = facts.etcd;
  const warnings = silent.map(({ id, because }) =>
    warning("etcd-vote-missing", id, `${id}'s vote in etcd is missing: ${because}`),
  );
  for (const alarm of alarmsOf(facts)) {
    const meaning = ALARMS[alarm] ?? "see etcd's documentation";
    const text = `etcd has raised the alarm ${alarm} and takes no changes: ${meaning}.`;
    warnings.unshift(warning("etcd-alarm", alarm, text));
  }
  if (!quorum) {
    const text = `etcd has no quorum (${answering} of ${voters} members answer): agents are served, nothing can be changed. What is shown of the cluster is ${renderAge(facts.etcd)}.`;
    warnings.unshift(warning("etcd-no-quorum", undefined, text));
    return warnings;
  }
  const voting = (text: string) => warning("etcd-voters", undefined, text);
  warnings.push(...planningOf(facts).map(voting));
  if (warnings.length > 0) return warnings;
  const because = describeVoters(facts.settings.voters, voters, countServers(facts.members));
  return because === "" ? [] : [voting(because)];
}

/** Servers that stay: those that may vote sooner or later. */
export function countServers(members: readonly MemberAnswer[]): number {
  return members.filter(({ member }) => member.role === "server" && member.phase !== "leaving")
    .length;
}

/** What the leader says that it does or waits for in etcd's membership. */
export function planningOf({ members }: Pick<Facts, "members">): string[] {
  return members.flatMap(({ local }) => {
    const planning = local?.etcd.planning ?? "";
    return planning === "" ? [] : [`etcd: ${planning}.`];
  });
}

/** Why another number votes than is wanted, in words; empty when all is as it should be. */
export function describeVoters(wanted: number, voters: number, servers: number): string {
  const possible = Math.max(1, Math.min(wanted, servers % 2 === 1 ? servers : servers - 1));
  if (voters < possible) return `etcd has ${voters} of ${possible} voters yet: it is growing.`;
  if (voters > possible) return `etcd has ${voters} voters, of which ${possible} will stay.`;
  if (voters < 3) {
    const way =
      wanted === 1 ? "understudy member voters 3 makes it three" : "join more servers (3 in all)";
    return `With one voter changes stop when it fails: ${way}.`;
  }
  if (voters === wanted) return "";
  return `${wanted} etcd voters are wanted, ${voters} vote: join more servers (${wanted} in all).`;
}

function renderAge({ viewAgeMs, viewAgeIsMost }: Facts["etcd"]): string {
  return `${viewAgeIsMost ? "at most " : ""}${renderDuration(viewAgeMs / 1000)} old`;
}

function addressWarnings(facts: Facts): Warning[] {
  return facts.settings.virtualIps.flatMap((vip) => {
    const address = vip.split("/")[0] ?? vip;
    const holders = facts.members.filter(
      ({ local }) => local?.addresses.includes(address) === true,
    );
    if (holders.length === 1) return [];
    if (holders.length === 0) {
      return [warning("address-nobody", address, `Nobody that answers holds ${address}.`)];
    }
    const names = holders.map(({ member }) => member.id).join(" and ");
    const text = `${address} is held by ${names} at once: is the network between them cut?`;
    return [warning("address-twice", address, text)];
  });
}

/** How many requests the edges have sent on to another puppetserver since they started. */
export function countReplays(members: readonly MemberAnswer[]): number {
  return members.reduce((sum, { local }) => sum + (local?.edge?.replays ?? 0), 0);
}
