// Who votes in etcd, pure: one safe step at a time towards the members there should be.
//
// The idea: every step is taken from a fresh look and is fine to be the last one for a while. A
// dead voter that is to go is removed first: that can only raise what the cluster tolerates, and
// etcd adds nobody while a voter is silent. A live one that is to go leaves last, after its
// replacement votes, so that the tolerance never sinks. Growing goes through an even number for
// some seconds (etcd 3.4 takes one learner at a time), so nobody is promoted before everybody
// needed for the odd number is ready.
//
// Danger: etcd promotes a learner that was nearly caught up even if it has died since. Between one
// and three voters that stops every write, so `healthy` and `caughtUp` must be observed just
// before.

/**
 * A server that may vote. `ready` must be judged with patience: losing it makes a step be taken
 * back.
 */
export interface VoterCandidate {
  id: string;
  /** For people. */
  name: string;
  peerUrl: string;
  /** False for one that is to stop voting, or to be replaced. One that isn't listed is the same. */
  wants: boolean;
  /** It is up and could run etcd now. */
  ready: boolean;
}

export interface ObservedMember {
  /** etcd's member id. */
  id: string;
  name: string;
  peerUrls: string[];
  learner: boolean;
  /** It answered just now and knows the leader. */
  healthy: boolean;
  leader?: boolean;
  /** For a learner: see `caughtUp`. */
  caughtUp?: boolean;
  /** For a learner: it has been silent for longer than a copy of everything takes. */
  stuck?: boolean;
}

/**
 * At most one of the first three; `wait` passes by itself, `refuse` needs somebody to do
 * something.
 */
export type VoterAction =
  | { do: "add-learner"; candidateId: string; peerUrl: string; because: string }
  | { do: "promote"; memberId: string; because: string }
  | { do: "remove"; memberId: string; because: string }
  | { do: "wait"; because: string }
  | { do: "refuse"; because: string };

const BEHIND_ENTRIES_MAX = 100;

/** Voters that must agree among `voters`. */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/** How many more voters may fail; below 0 when there is no quorum now. */
export function failuresTolerated(voters: number, healthy: number): number {
  return healthy - quorumOf(voters);
}

/** Whether a learner has come close enough to the leader to vote without delaying it. */
export function caughtUp(learner: { raftIndex: number }, leader: { raftIndex: number }): boolean {
  return leader.raftIndex - learner.raftIndex <= BEHIND_ENTRIES_MAX;
}

/**
 * What to do next so that `desired` servers vote, or why nothing is done. Empty when all is well.
 */
export function planVoters(
  desired: 1 | 3 | 5,
  candidates: readonly VoterCandidate[],
  observed: { members: readonly ObservedMember[] },
): VoterAction[] {
  const now = survey(candidates, observed.members);
  const { voters, healthy } = now;
  if (healthy.length < quorumOf(voters.length)) {
    const count = `${healthy.length} of ${voters.length} voters answer`;
    const because = `${count}, so etcd can't change its members: bring one back or recover by hand`;
    return [{ do: "refuse", because }];
  }
  const wanting = now.seats.filter((seat) => seat.candidate?.wants === true);
  if (wanting.length === 0) {
    return [{ do: "refuse", because: "no server wants to vote, and somebody must" }];
  }
  const usable = wanting.filter((seat) => seat.member?.learner === false || isUsable(seat));
  const hoped = oddUpTo(Math.min(desired, wanting.length));
  const possible = oddUpTo(Math.min(desired, usable.length));
  const actions = approach(now, chooseGoal(now, usable, { hoped, possible }));
  if (actions.length > 0 || possible === hoped) return actions;
  return [hold(now, wanting, hoped)];
}

/**
 * The seats that are to vote. An odd number of voters isn't given up because somebody isn't ready:
 * then those that are to go stay for the time being. An even number is, because it is worth less
 * than one fewer.
 */
function chooseGoal(
  now: Survey,
  usable: Seat[],
  sizes: { hoped: number; possible: number },
): Seat[] {
  const ranked = usable.toSorted((a, b) => rank(a) - rank(b));
  const voters = now.voters.length;
  if (voters % 2 === 0) return ranked.slice(0, Math.max(1, sizes.possible));
  const size = Math.max(sizes.possible, Math.min(voters, sizes.hoped));
  const goal = ranked.slice(0, Math.max(sizes.possible, 0));
  const staying = [...ranked, ...now.voters].filter((seat) => seat.member?.learner === false);
  for (const seat of staying.toSorted((a, b) => rank(a) - rank(b))) {
    if (goal.length < size && !goal.includes(seat)) goal.push(seat);
  }
  return goal;
}

/** A candidate, a member of etcd, or both. */
interface Seat {
  candidate: VoterCandidate | undefined;
  member: ObservedMember | undefined;
  name: string;
}

interface Survey {
  seats: Seat[];
  voters: Seat[];
  healthy: Seat[];
  learners: Seat[];
}

function survey(candidates: readonly VoterCandidate[], members: readonly ObservedMember[]): Survey {
  const seats: Seat[] = candidates.map((candidate) => {
    const member = members.find(({ peerUrls }) => peerUrls.includes(candidate.peerUrl));
    return { candidate, member, name: candidate.name };
  });
  for (const member of members) {
    if (seats.some((seat) => seat.member?.id === member.id)) continue;
    const name = member.name === "" ? (member.peerUrls[0] ?? member.id) : member.name;
    seats.push({ candidate: undefined, member, name });
  }
  const voters = seats.filter((seat) => seat.member?.learner === false);
  return {
    seats,
    voters,
    healthy: voters.filter(isHealthy),
    learners: seats.filter((seat) => seat.member?.learner === true),
  };
}

/** One step from what is to `goal`. */
function approach(now: Survey, goal: Seat[]): VoterAction[] {
  const stray = now.learners.find((seat) => !goal.includes(seat));
  if (stray !== undefined)
    return [remove(stray, "it is not to vote, and as a learner it never has")];
  const surplus = now.voters.filter((seat) => !goal.includes(seat));
  const dead = surplus.find((seat) => !isHealthy(seat));
  if (dead !== undefined) {
    const rest = `${now.healthy.length} of the ${now.voters.length - 1} others answer`;
    return [remove(dead, `it is to go and doesn't answer; ${rest}, so nothing gets worse`)];
  }
  const missing = goal.filter((seat) => !now.voters.includes(seat));
  if (missing.length > 0) return grow(now, missing);
  const leaving = surplus.toSorted((a, b) => leavingRank(a) - leavingRank(b))[0];
  if (leaving === undefined) return [];
  return [shrink(now, leaving)];
}

/** One step towards the first of `missing` voting. */
function grow(now: Survey, missing: Seat[]): VoterAction[] {
  const silent = now.voters.filter((seat) => !isHealthy(seat));
  const next = missing.find((seat) => seat.member !== undefined) ?? missing[0];
  if (next === undefined) return [];
  if (silent.length > 0) {
    const because =
      `${namesOf(silent)} doesn't answer, and etcd takes nobody in while a voter is silent: ` +
      `bring it back or let it be replaced, then ${next.name} can vote`;
    return [{ do: "refuse", because }];
  }
  const voters = now.voters.length;
  if (next.member === undefined) {
    const because = `${next.name} is to vote; it first copies everything as a learner`;
    const { id, peerUrl } = next.candidate ?? { id: "", peerUrl: "" };
    return [{ do: "add-learner", candidateId: id, peerUrl, because }];
  }
  if (!isHealthy(next) && next.member.stuck === true) {
    // A power cut in its first moments leaves data that etcd can't start with.
    return [remove(next, "it doesn't start as a learner: it begins anew, with empty data")];
  }
  if (!isHealthy(next) || next.member.caughtUp !== true) {
    const state = isHealthy(next) ? "is still copying" : "has not started or doesn't answer";
    return [{ do: "wait", because: `the learner ${next.name} ${state}` }];
  }
  const others = missing.filter((seat) => seat !== next);
  const even = (voters + 1) % 2 === 0;
  const tolerated = failuresTolerated(voters + 1, voters + 1);
  const risk = `${voters + 1} voters tolerate ${tolerated} failures`;
  const window = even && others.length > 0 ? `; until ${namesOf(others)} votes too, ${risk}` : "";
  return [
    {
      do: "promote",
      memberId: next.member.id,
      because: `${next.name} has caught up and makes it ${voters + 1} voters${window}`,
    },
  ];
}

function shrink(now: Survey, leaving: Seat): VoterAction {
  const after = now.voters.length - 1;
  const healthyAfter = now.healthy.length - 1;
  if (after === 0 || healthyAfter < quorumOf(after)) {
    const silent = now.voters.filter((seat) => !isHealthy(seat));
    const because =
      `${leaving.name} is to stop voting, but without it ${healthyAfter} of ${after} voters ` +
      `would answer and etcd would stand still: bring back ${namesOf(silent)}`;
    return { do: "refuse", because };
  }
  const tolerated = failuresTolerated(after, healthyAfter);
  return remove(leaving, `it is to stop voting; the other ${after} tolerate ${tolerated} failures`);
}

/** Stays where it is because servers that want to vote aren't ready. */
function hold(now: Survey, wanting: Seat[], hoped: number): VoterAction {
  const absent = wanting.filter((seat) => seat.member?.learner !== false && !isUsable(seat));
  const tolerated = failuresTolerated(now.voters.length, now.healthy.length);
  const because =
    `${hoped} are to vote, but ${namesOf(absent)} isn't ready; until then ` +
    `${now.voters.length} voters tolerate ${tolerated} failures`;
  return { do: "wait", because };
}

function remove(seat: Seat, why: string): VoterAction {
  return { do: "remove", memberId: seat.member?.id ?? "", because: `${seat.name}: ${why}` };
}

function isHealthy(seat: Seat): boolean {
  return seat.member?.healthy === true;
}

function isUsable(seat: Seat): boolean {
  return isHealthy(seat) || seat.candidate?.ready === true;
}

/**
 * Who keeps or gets a vote first: voters before learners before others, living ones first, the
 * leader first of all.
 */
function rank(seat: Seat): number {
  if (seat.member === undefined) return 4;
  if (seat.member.learner) return 3;
  if (!isHealthy(seat)) return 2;
  return seat.member.leader === true ? 0 : 1;
}

/** Who leaves first: the leader's leaving costs an election, so it goes last. */
function leavingRank(seat: Seat): number {
  return seat.member?.leader === true ? 1 : 0;
}

function oddUpTo(count: number): number {
  return count % 2 === 1 ? count : count - 1;
}

function namesOf(seats: Seat[]): string {
  return seats.map((seat) => seat.name).join(", ");
}
