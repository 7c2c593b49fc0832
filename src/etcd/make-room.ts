// Gives back what etcd's database no longer needs: former versions of keys, then the free pages of
// each voter. Danger: a voter that defragments answers nothing meanwhile, so they do it one after
// the other, the leader last, and only while every other one could stand in.

import { Fault } from "../base/fault.ts";
import type { Alarm, CallOptions, Etcd, MemberStatus } from "./types.ts";

export interface RoomMade {
  endpoint: string;
  beforeBytes: number;
  afterBytes: number;
}

/** A voter's status, or why it doesn't answer. */
export type VoterSight =
  | { endpoint: string; status: MemberStatus }
  | { endpoint: string; why: string };

/** In which order voters do it, or why none does. */
export function planRoom(
  voters: readonly VoterSight[],
  alarms: readonly Alarm[],
): { ok: true; order: string[]; revision: number } | { ok: false; because: string } {
  if (alarms.some(({ alarm }) => alarm === "CORRUPT")) {
    return { ok: false, because: "a member's data differs from the others' (CORRUPT)" };
  }
  const seen = voters.flatMap((voter) => ("status" in voter ? [voter] : []));
  const silent = voters.flatMap((voter) =>
    "why" in voter ? [`${voter.endpoint}: ${voter.why}`] : [],
  );
  if (silent.length > 0)
    return { ok: false, because: `not every voter answers: ${silent.join("; ")}` };
  if (seen.length === 0) return { ok: false, because: "no voter is known" };
  const leads = ({ status }: (typeof seen)[number]) => status.memberId === status.leaderId;
  const order = [...seen.filter((one) => !leads(one)), ...seen.filter(leads)];
  return {
    ok: true,
    order: order.map(({ endpoint }) => endpoint),
    revision: Math.min(...seen.map(({ status }) => status.revision)),
  };
}

/**
 * Does it at every voter, and takes the alarm NOSPACE back. Throws Fault `etcd.no-room-made` where
 * one of them isn't well; what was done before is told by `onDone`.
 */
export async function makeRoom(
  etcd: Etcd,
  endpoints: readonly string[],
  options: CallOptions & { onDone?: (made: RoomMade) => void } = {},
): Promise<RoomMade[]> {
  const { onDone, ...call } = options;
  const look = async (): Promise<VoterSight[]> =>
    Promise.all(
      endpoints.map(async (endpoint) =>
        etcd.status(endpoint, call).then(
          (status) => ({ endpoint, status }),
          (error: Error) => ({ endpoint, why: error.message }),
        ),
      ),
    );
  const plan = async () => {
    const planned = planRoom(await look(), await etcd.alarms(call));
    if (planned.ok) return planned;
    throw new Fault("etcd.no-room-made", `etcd's database is left as it is: ${planned.because}`, {
      hints: ["Which members are well: understudy status"],
    });
  };
  const { order, revision } = await plan();
  await etcd.compact(revision, call);
  const made: RoomMade[] = [];
  for (const endpoint of order) {
    // Whoever has gone away meanwhile would be missed while this one is busy.
    await plan();
    const before = await etcd.status(endpoint, call);
    await etcd.defragment(endpoint);
    const after = await etcd.status(endpoint, call);
    const one = { endpoint, beforeBytes: before.dbSizeBytes, afterBytes: after.dbSizeBytes };
    made.push(one);
    onDone?.(one);
  }
  await etcd.disarm(call);
  return made;
}
