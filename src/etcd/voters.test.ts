import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  failuresTolerated,
  planVoters,
  quorumOf,
  type ObservedMember,
  type VoterAction,
  type VoterCandidate,
} from "./voters.ts";

const url = (name: string) => `https://${name}:9142`;

/** "s1" wants and is ready, "-s1" doesn't want, "s1!" isn't ready. */
function candidate(text: string): VoterCandidate {
  const name = text.replaceAll(/[-!]/g, "");
  return {
    id: name,
    name,
    peerUrl: url(name),
    wants: !text.startsWith("-"),
    ready: !text.endsWith("!"),
  };
}

/**
 * "s1" a healthy voter, "s1!" a dead one, "+s1" a learner that has caught up, "+s1~" one that
 * hasn't, "+s1!!" one that has been dead for long.
 */
function member(text: string): ObservedMember {
  const name = text.replaceAll(/[+!~]/g, "");
  return {
    id: `id-${name}`,
    name,
    peerUrls: [url(name)],
    learner: text.startsWith("+"),
    healthy: !text.includes("!"),
    caughtUp: !text.includes("~"),
    stuck: text.includes("!!"),
  };
}

function words(text: string): string[] {
  return text.split(" ").filter((word) => word !== "");
}

function show(actions: VoterAction[]): string {
  const one = (action: VoterAction) => {
    if (action.do === "add-learner") return `add ${action.candidateId}`;
    if (action.do === "promote") return `promote ${action.memberId.slice(3)}`;
    if (action.do === "remove") return `remove ${action.memberId.slice(3)}`;
    return action.do;
  };
  return actions.map(one).join(", ");
}

const CASES: [why: string, desired: 1 | 3 | 5, servers: string, etcd: string, expected: string][] =
  [
    ["one server is one voter", 3, "s1", "s1", ""],
    ["two servers are one voter", 3, "s1 s2", "s1", ""],
    ["three ready servers: the first learner", 3, "s1 s2 s3", "s1", "add s2"],
    ["no growth before both are ready", 3, "s1 s2 s3!", "s1", "wait"],
    ["a learner is still copying", 3, "s1 s2 s3", "s1 +s2~", "wait"],
    ["a learner that died is waited for", 3, "s1 s2! s3 s4!", "s1 +s2!", "remove s2"],
    ["a learner that doesn't start is waited for", 3, "s1 s2 s3", "s1 +s2!", "wait"],
    ["a learner that never starts begins anew", 3, "s1 s2 s3", "s1 +s2!!", "remove s2"],
    ["one of two voters too", 3, "s1 s2 s3", "s1 s2 +s3!!", "remove s3"],
    ["a learner gives way to a ready server", 3, "s1 s2! s3 s4", "s1 +s2!", "remove s2"],
    ["it has caught up, and the third is ready", 3, "s1 s2 s3", "s1 +s2", "promote s2"],
    ["the third vanished before the promotion", 3, "s1 s2 s3!", "s1 +s2", "remove s2"],
    ["two voters: on with the third", 3, "s1 s2 s3", "s1 s2", "add s3"],
    ["two voters, its learner has caught up", 3, "s1 s2 s3", "s1 s2 +s3", "promote s3"],
    ["two voters and the third vanished: back to one", 3, "s1 s2 s3!", "s1 s2", "remove s2"],
    ["three voters are fine", 3, "s1 s2 s3 s4", "s1 s2 s3", ""],
    ["a dead voter that wants to vote is not replaced", 3, "s1 s2! s3 s4", "s1 s2! s3", ""],
    ["a dead one to be replaced goes first", 3, "s1 -s2! s3 s4", "s1 s2! s3", "remove s2"],
    ["then its replacement comes", 3, "s1 -s2! s3 s4", "s1 s3", "add s4"],
    ["it stays while its replacement isn't ready", 3, "s1 -s2! s3 s4!", "s1 s2! s3", "wait"],
    ["a dead one goes when nobody is to follow", 3, "s1 s3", "s1 s2! s3", "remove s2"],
    ["and then two become one", 3, "s1 s3", "s1 s3", "remove s3"],
    ["a live one is replaced by adding first", 3, "s1 -s2 s3 s4", "s1 s2 s3", "add s4"],
    ["four voters for a moment", 3, "s1 -s2 s3 s4", "s1 s2 s3 +s4", "promote s4"],
    ["and then the one to go goes", 3, "s1 -s2 s3 s4", "s1 s2 s3 s4", "remove s2"],
    ["nobody is added while a voter is silent", 3, "s1! -s2 s3 s4", "s1! s2 s3", "refuse"],
    ["no live one leaves the rest without quorum", 1, "s1 -s2 s3!", "s1 s2 s3!", "remove s3"],
    ["three to five", 5, "s1 s2 s3 s4 s5", "s1 s2 s3", "add s4"],
    ["three stay while only four are ready", 5, "s1 s2 s3 s4 s5!", "s1 s2 s3", "wait"],
    ["four go back to three", 5, "s1 s2 s3 s4 s5!", "s1 s2 s3 s4", "remove s4"],
    ["five with two ghosts become three", 5, "s1 s2 s3", "s1 s2 s3 s4! s5!", "remove s4"],
    ["a stranger among the members goes", 3, "s1", "s1 s9", "remove s9"],
    ["without quorum nothing can change", 3, "s1 s2 s3 s4", "s1! s2! s3", "refuse"],
    ["the last voter stays", 1, "-s1", "s1", "refuse"],
    ["the only voter is replaced by adding first", 1, "-s1 s2", "s1", "add s2"],
    ["and goes last", 1, "-s1 s2", "s1 s2", "remove s1"],
  ];

for (const [why, desired, servers, etcd, expected] of CASES) {
  test(`planVoters: ${why}`, () => {
    const members = words(etcd).map(member);
    const actions = planVoters(desired, words(servers).map(candidate), { members });
    assert.equal(show(actions), expected, actions.map((action) => action.because).join("; "));
  });
}

test("planVoters keeps the leader until last", () => {
  const members = words("s1 s2 s3").map(member);
  Object.assign(members[0] ?? {}, { leader: true });
  const actions = planVoters(1, words("-s1 s2 -s3").map(candidate), { members });
  assert.equal(show(actions), "remove s3");
});

test("planVoters says what two voters risk before it makes them", () => {
  const members = words("s1 +s2").map(member);
  const [action] = planVoters(3, words("s1 s2 s3").map(candidate), { members });
  assert.match(action?.because ?? "", /until s3 votes too, 2 voters tolerate 0 failures/);
});

test("failuresTolerated counts down to the loss of quorum", () => {
  assert.equal(failuresTolerated(1, 1), 0);
  assert.equal(failuresTolerated(3, 3), 1);
  assert.equal(failuresTolerated(3, 2), 0);
  assert.equal(failuresTolerated(3, 1), -1);
  assert.equal(failuresTolerated(5, 5), 2);
});

interface World {
  desired: 1 | 3 | 5;
  servers: {
    name: string;
    /** Its etcd answers. */
    up: boolean;
    /** Its host says it could run etcd, which may be untrue. */
    ready: boolean;
    wants: boolean;
    seat: "voter" | "learner" | "none";
  }[];
}

const world: fc.Arbitrary<World> = fc.record({
  desired: fc.constantFrom(1, 3, 5),
  servers: fc
    .array(
      fc.record({
        up: fc.boolean(),
        ready: fc.boolean(),
        wants: fc.boolean(),
        seat: fc.constantFrom("voter", "none", "none", "learner"),
      }),
      { minLength: 1, maxLength: 8 },
    )
    .filter((servers) => servers.some(({ seat }) => seat === "voter"))
    .map((servers) => servers.map((server, index) => ({ ...server, name: `s${index + 1}` }))),
});

function step(now: World): { actions: VoterAction[]; next: World } {
  const candidates = now.servers.map(({ name, ready, wants }) => ({
    id: name,
    name,
    peerUrl: url(name),
    wants,
    ready,
  }));
  const members = now.servers
    .filter(({ seat }) => seat !== "none")
    .map(({ name, up, seat }) => ({
      id: `id-${name}`,
      name,
      peerUrls: [url(name)],
      healthy: up,
      caughtUp: up,
      learner: seat === "learner",
    }));
  const actions = planVoters(now.desired, candidates, { members });
  const servers = now.servers.map((server) => {
    let { seat } = server;
    for (const action of actions) {
      if (action.do === "add-learner" && action.candidateId === server.name) seat = "learner";
      if (action.do === "promote" && action.memberId === `id-${server.name}`) seat = "voter";
      if (action.do === "remove" && action.memberId === `id-${server.name}`) seat = "none";
    }
    return { ...server, seat } satisfies World["servers"][number];
  });
  return { actions, next: { ...now, servers } };
}

function tally(now: World): { voters: number; healthy: number; learners: number } {
  const voters = now.servers.filter(({ seat }) => seat === "voter");
  return {
    voters: voters.length,
    healthy: voters.filter(({ up }) => up).length,
    learners: now.servers.filter(({ seat }) => seat === "learner").length,
  };
}

const changes = (actions: VoterAction[]) =>
  actions.filter(({ do: what }) => ["add-learner", "promote", "remove"].includes(what));

test("planVoters: no step loses the quorum, whatever servers do between steps", () => {
  const flips = fc.array(fc.record({ server: fc.nat(7), wants: fc.boolean(), up: fc.boolean() }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(world, flips, (start, events) => {
      let now = start;
      for (const event of [undefined, ...events]) {
        const servers = now.servers.map((server, index) =>
          event !== undefined && index === event.server
            ? { ...server, wants: event.wants, up: event.up }
            : server,
        );
        const before = { ...now, servers };
        const { actions, next } = step(before);
        assert.ok(changes(actions).length <= 1, "one change at a time");
        now = next;
        const [was, is] = [tally(before), tally(next)];
        if (changes(actions).length === 0) continue;
        assert.ok(was.healthy >= quorumOf(was.voters), "a change needs a quorum");
        assert.ok(is.healthy >= quorumOf(is.voters), "a change lost the quorum");
        assert.ok(is.voters >= 1);
        const added = actions.some((action) => action.do === "add-learner");
        assert.ok(!added || was.learners === 0, "one learner at a time");
        assert.ok(!added || was.healthy === was.voters, "etcd adds none while a voter is silent");
      }
    }),
    { numRuns: 3000 },
  );
});

test("planVoters comes to rest from anywhere, on an odd number of voters or with a reason", () => {
  fc.assert(
    fc.property(world, (start) => {
      let now = {
        ...start,
        servers: start.servers.map((server) => ({ ...server, ready: server.up })),
      };
      for (let steps = 0; steps < 40; steps += 1) {
        const { actions, next } = step(now);
        if (changes(actions).length === 0) {
          const { voters, healthy } = tally(now);
          const refuses = actions.some((action) => action.do === "refuse");
          if (healthy < quorumOf(voters)) assert.ok(refuses);
          else assert.ok(voters % 2 === 1 || refuses, `rests on ${voters} voters`);
          const allWell = now.servers.filter(({ wants, up }) => wants && up).length;
          const votersWell = now.servers.every(
            ({ wants, up, seat }) => seat !== "voter" || (wants && up),
          );
          if (allWell >= now.desired && votersWell) assert.equal(voters, now.desired);
          return;
        }
        now = next;
      }
      assert.fail("does not come to rest");
    }),
    { numRuns: 3000 },
  );
});
