// What members answer, for tests of what is judged from it.

import type { judgeStatus, MemberAnswer } from "../../cluster/status.ts";
import { Meta, type Member, Settings } from "../../cluster/schema.ts";
import { member } from "./site.ts";

/** A member that answers, with `runs` as what its etcd is. */
export function answerOf(
  id: string,
  runs: "leader" | "voter" | "learner" | "no",
  more: Partial<Member> = {},
): MemberAnswer {
  const record = member(id, "10.0.0.9", more);
  return {
    member: record,
    because: "",
    local: {
      id,
      role: record.role,
      version: record.version,
      phase: "ready",
      wallMs: 0,
      record: { reachable: true, because: "", ageMs: 0 },
      etcd: { runs, hasLeader: true, alarms: [], dbSizeBytes: 1, because: "" },
      addresses: [],
      expiries: [],
      warnings: [],
    },
  };
}

/** What `judgeStatus` takes, as `answeredBy` sees it; quorum follows from who answers. */
export function clusterOf(
  answeredBy: string,
  members: MemberAnswer[],
  voters: number,
): Parameters<typeof judgeStatus>[0] {
  const votes = (runs: string | undefined) => runs === "leader" || runs === "voter";
  const answering = members.filter(({ local }) => votes(local?.etcd.runs)).length;
  return {
    answeredBy,
    meta: Meta.parse({
      format: 1,
      clusterId: "00000000-0000-4000-8000-000000000000",
      generation: 1,
      createdAt: "now",
    }),
    settings: Settings.parse({ sharedName: "puppet.lab.test" }),
    members,
    work: { drains: [] },
    etcd: {
      voters,
      answering,
      silent: [],
      quorum: answering > voters / 2,
      viewAgeMs: 0,
      viewAgeIsMost: false,
    },
    nowMs: 0,
  };
}
