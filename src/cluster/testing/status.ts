// A healthy cluster of three as its members tell of it, for tests to break one thing in.

import type { Member } from "../schema.ts";
import { judgeStatus, type ClusterStatus, type LocalStatus, type MemberAnswer } from "../status.ts";

export const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const NAMES = ["s1", "s2", "s3"];

export type Edge = NonNullable<LocalStatus["edge"]>;
type Row = Edge["backends"][number];

/** One edge's row of a puppetserver. */
export function row(member: string, more: Partial<Row> = {}): Row {
  const idle = { busy: 0, queued: 0, total: 0, perS: 0, responseMs: 0, because: "" };
  return { member, name: member, state: "up", jrubies: 4, ...idle, ...more };
}

export function edge(more: Partial<Edge> = {}): Edge {
  return {
    active: true,
    because: "",
    confirmedCrl: 4,
    replays: 0,
    waiting: 0,
    poisonous: [],
    backends: NAMES.map((name) => row(name)),
    ...more,
  };
}

/** What a healthy server says of itself. */
export function local(id: string, more: Partial<LocalStatus> = {}): LocalStatus {
  return {
    id,
    role: "server",
    version: "1.0.0",
    phase: "ready",
    wallMs: NOW_MS,
    record: { reachable: true, because: "", ageMs: 100 },
    etcd: { runs: "voter", hasLeader: true, alarms: [], dbSizeBytes: 1, because: "" },
    addresses: id === "s1" ? ["10.0.0.10"] : [],
    edge: edge(),
    ca: {
      serving: true,
      because: "",
      requests: 0,
      certificates: 3,
      crlNumber: 4,
      crlNextUpdate: "2031-11-20T12:00:00.000Z",
      directoryBehind: "",
      unreadable: [],
      unknownFiles: [],
    },
    expiries: [],
    warnings: [],
    ...more,
  };
}

/** The member with what it said; `said` undefined: it doesn't answer. */
export function answer(
  id: string,
  said: LocalStatus | undefined = local(id),
  more: Partial<Member> = {},
): MemberAnswer {
  const member: Member = {
    id,
    role: said?.role ?? "server",
    address: "10.0.0.1",
    phase: "ready",
    mayVote: true,
    backends: [{ name: "puppetserver", port: 8141, jrubies: 4, unfit: "" }],
    version: "1.0.0",
    joinedAt: "2026-11-20T10:00:00.000Z",
    ...more,
  };
  const because = said === undefined ? "no answer in time" : "";
  return { member, because, ...(said === undefined ? {} : { local: said }) };
}

export function silent(id: string): MemberAnswer {
  const { member } = answer(id);
  return { member, because: "no answer in time" };
}

/** The judged status of these answers. */
export function judge(
  members: MemberAnswer[],
  etcd: Partial<ClusterStatus["etcd"]> = {},
  work: ClusterStatus["work"] = { drains: [] },
): ClusterStatus {
  return judgeStatus({
    answeredBy: "s1",
    meta: {
      format: 1,
      clusterId: "8f0e8e8a-1c1b-4c0a-9d0e-0a0b0c0d0e0f",
      generation: 1,
      createdAt: "2026-11-20T10:00:00.000Z",
    },
    settings: {
      sharedName: "puppet.lab.test",
      otherNames: [],
      virtualIps: ["10.0.0.10/24"],
      acceptProxyFrom: [],
      isolatedEdge: "serve",
      voters: 3,
    },
    members,
    work,
    etcd: {
      voters: 3,
      answering: 3,
      silent: [],
      quorum: true,
      viewAgeMs: 100,
      viewAgeIsMost: false,
      ...etcd,
    },
    nowMs: NOW_MS,
  });
}

/** All three, with one thing of `id` changed. */
export function three(id = "", more: Partial<LocalStatus> = {}): MemberAnswer[] {
  return NAMES.map((name) => answer(name, local(name, name === id ? more : {})));
}
