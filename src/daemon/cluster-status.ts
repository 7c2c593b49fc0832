// The cluster's status as seen from here: every member is asked at once, each with a short
// deadline, so that dead ones cost one deadline and not one each.

import { messageOf } from "../base/fault.ts";
import type { Peers } from "../cluster/peer.ts";
import {
  type ClusterStatus,
  isVoting,
  judgeStatus,
  LocalStatus,
  type MemberAnswer,
} from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { wallMs } from "../host/clock.ts";
import { Fault } from "../base/fault.ts";
import { quorumOf } from "../etcd/voters.ts";

/** Longer than what a member gives its own etcd before it answers without (local-status.ts). */
const ASK_MS = 3000;

export async function readClusterStatus(
  id: string,
  keeper: ViewKeeper,
  peers: Peers,
  local: () => Promise<LocalStatus>,
): Promise<ClusterStatus> {
  const view = keeper.current();
  if (view === undefined) {
    throw new Fault("cluster.no-record", "this member has never seen the cluster's record", {
      hints: [keeper.record().because],
    });
  }
  const members = await Promise.all(
    view.members.map(async (member): Promise<MemberAnswer> => {
      if (member.id === id) return { member, local: await local(), because: "" };
      try {
        const options = { answer: LocalStatus, withinMs: ASK_MS };
        const answer = await peers.call(member.address, "/v1/local", options);
        return { member, local: answer, because: "" };
      } catch (error) {
        return { member, because: messageOf(error) };
      }
    }),
  );
  const voters = view.etcdMembers.filter((member) => !member.learner);
  const silent = voters.flatMap(({ name }) => missingVote(name, members));
  const answering = voters.length - silent.length;
  const { reachable, ageMs, ageIsMost } = keeper.record();
  return judgeStatus({
    answeredBy: id,
    meta: view.meta,
    settings: view.settings,
    work: view.work,
    members,
    etcd: {
      voters: voters.length,
      answering,
      silent,
      quorum: reachable || answering >= quorumOf(voters.length),
      viewAgeMs: Number.isFinite(ageMs) ? ageMs : 0,
      viewAgeIsMost: ageIsMost,
    },
    nowMs: wallMs(),
  });
}

/** Why the voter `name` doesn't count; nothing when it does. */
export function missingVote(
  name: string,
  members: readonly MemberAnswer[],
): { id: string; because: string }[] {
  const answer = members.find(({ member }) => member.id === name);
  if (answer === undefined) return [{ id: name, because: "no member has this name" }];
  const { local } = answer;
  if (isVoting(local)) return [];
  if (local === undefined) return [{ id: name, because: "the member doesn't answer" }];
  const why = local.etcd.runs === "no" ? "its etcd doesn't answer" : "its etcd doesn't vote";
  return [{ id: name, because: local.etcd.because || why }];
}
