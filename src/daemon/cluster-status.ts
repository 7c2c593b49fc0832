// The cluster's status as seen from here: every member is asked at once, each with a short
// deadline, so that dead ones cost one deadline and not one each.

import { messageOf } from "../base/fault.ts";
import type { Peers } from "../cluster/peer.ts";
import {
  type ClusterStatus,
  judgeStatus,
  LocalStatus,
  type MemberAnswer,
} from "../cluster/status.ts";
import type { ViewKeeper } from "../cluster/view-keeper.ts";
import { wallMs } from "../host/clock.ts";
import { Fault } from "../base/fault.ts";
import { quorumOf } from "../etcd/voters.ts";

const ASK_MS = 2000;

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
  const answering = voters.filter((voter) =>
    members.some(({ member, local: said }) => member.id === voter.name && isVoting(said)),
  ).length;
  const { reachable, ageMs } = keeper.record();
  return judgeStatus({
    answeredBy: id,
    meta: view.meta,
    settings: view.settings,
    members,
    etcd: {
      voters: voters.length,
      answering,
      quorum: reachable || answering >= quorumOf(voters.length),
      viewAgeMs: Number.isFinite(ageMs) ? ageMs : 0,
    },
    nowMs: wallMs(),
  });
}

function isVoting(local: LocalStatus | undefined): boolean {
  return local?.etcd.runs === "leader" || local?.etcd.runs === "voter";
}
