// Removals against a real etcd whose membership changes with them.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { readAuthorityCrl, revokeLeaves } from "../cluster/leaves.ts";
import { readMember, readMembers } from "../cluster/members.ts";
import type { Peers } from "../cluster/peer.ts";
import { readTokens, updateMember } from "../cluster/record.ts";
import { NodeFile } from "../cluster/schema.ts";
import { judgeStatus } from "../cluster/status.ts";
import {
  type EtcdTestCluster,
  startEtcdCluster,
  type TestMember,
} from "../etcd/testing/cluster.ts";
import { caughtUp, planVoters } from "../etcd/voters.ts";
import { createLog } from "../base/log.ts";
import { admit } from "../setup/admit.ts";
import { createJoiner, createTestSite, FIRST, type TestSite } from "../setup/testing/site.ts";
import { answerOf, clusterOf } from "../setup/testing/status.ts";
import type { Note } from "./history.ts";
import {
  askToLeave,
  planLeaving,
  type RemovalDeps,
  removeMember,
  startLeaving,
} from "./removal.ts";

const SECOND = "s2.lab.test";
const SLOW = { withinMs: 30_000 };

let cluster: EtcdTestCluster;
let site: TestSite;
/** Whose etcd each member's is. */
let seats: Map<string, TestMember>;

beforeEach(async () => {
  cluster = await startEtcdCluster();
  site = await createTestSite(cluster);
  const [first] = cluster.members;
  assert.ok(first);
  seats = new Map([[FIRST, first]]);
  await admit(site.deps, createJoiner(SECOND, "10.0.0.2")(await site.newToken()));
  await updateMember(site.etcd, SECOND, (member) => {
    return member && { ...member, phase: "ready", mayVote: true };
  });
});

afterEach(async () => cluster.close());

/** What the daemon of `by` removes with; the other members refuse what they are told to. */
function depsOf(by: string, more: Partial<RemovalDeps> = {}): RemovalDeps {
  const { etcd, authorities } = site;
  const call: Peers["call"] = async (_address, _path, options) =>
    options.answer.parse({ refuses: true });
  return {
    node: NodeFile.parse({
      format: 1,
      clusterId: site.clusterId,
      generation: 1,
      id: by,
      role: "server",
      address: "10.0.0.2",
      sharedName: "puppet.lab.test",
      phase: "ready",
      etcdEndpoints: cluster.endpoints,
    }),
    etcd,
    peers: { call, close: () => undefined },
    refusals: { serials: () => new Set(), inForce: () => true, sync: async () => undefined },
    log: createLog(() => undefined),
    authorities: async () => authorities,
    requireSigner: async () => undefined,
    ownSerial: async () => "00",
    revokePuppet: async () => ({ confirmed: [], missing: [] }),
    confirmCopies: async () => ({ copies: 2, of: [] }),
    status: async () => {
      const members = await readMembers(etcd);
      const voting = (await etcd.members.list()).filter(({ learner }) => !learner);
      const answers = members.map((member) => {
        const votes = voting.some(({ name }) => name === seats.get(member.id)?.name);
        return answerOf(member.id, votes ? "voter" : "no", member);
      });
      return judgeStatus(clusterOf(by, answers, voting.length));
    },
    wake: () => undefined,
    note: () => undefined,
    etcdOf: ({ id }) => {
      const seat = seats.get(id);
      return { peerUrl: seat?.peerUrl ?? "", clientUrl: seat?.clientUrl ?? "" };
    },
    ...more,
  };
}

/** Looks, plans and acts once, as the loop on the leader does. */
async function stepVoters(): Promise<void> {
  site.etcd.setEndpoints(cluster.endpoints);
  const listed = await site.etcd.members.list(SLOW);
  const statuses = await Promise.all(
    listed.map(async ({ peerUrls }) => {
      const member = cluster.members.find(({ peerUrl }) => peerUrls.includes(peerUrl));
      return site.etcd.status(member?.clientUrl ?? "").catch(() => undefined);
    }),
  );
  const leader = statuses.find((status) => status?.leaderId === status?.memberId);
  const members = listed.map((member, index) => {
    const status = statuses[index];
    const healthy = status !== undefined && status.leaderId !== "0";
    const near = healthy && leader !== undefined && caughtUp(status, leader);
    return { ...member, healthy, caughtUp: near, leader: status === leader };
  });
  const candidates = (await readMembers(site.etcd)).map(({ id, phase, mayVote }) => ({
    id,
    name: id,
    peerUrl: seats.get(id)?.peerUrl ?? "",
    wants: mayVote && phase !== "leaving",
    ready: true,
  }));
  for (const action of planVoters(3, candidates, { members })) {
    if (action.do === "promote") await site.etcd.members.promote(action.memberId, SLOW);
    if (action.do === "remove") await site.etcd.members.remove(action.memberId, SLOW);
    if (action.do !== "add-learner") continue;
    await site.etcd.members.addLearner(action.peerUrl, SLOW);
    const added = cluster.members.find(({ peerUrl }) => peerUrl === action.peerUrl);
    if (added !== undefined) await cluster.join(added);
  }
}

const refused = (code: string) => (error: unknown) => isFault(error, code);

async function assertUntouched(id: string): Promise<void> {
  const kept = await readMember(site.etcd, id);
  assert.deepEqual([kept?.member.phase, kept?.member.mayVote], ["ready", true]);
  assert.deepEqual((await readAuthorityCrl(site.etcd, "control"))?.serials, []);
}

test("removeMember of the only voter waits until another server has its vote", async () => {
  seats.set(SECOND, await cluster.prepare());
  let over = false;
  const removal = removeMember(depsOf(SECOND), FIRST).finally(() => (over = true));
  const stepped = until("the removal ends", async () => stepVoters().then(() => over), SLOW);
  const done = await removal;
  await stepped;
  assert.match(done.lines.join("\n"), /no member of etcd any more[^]*is removed/);
  assert.deepEqual(
    (await site.etcd.members.list(SLOW)).map(({ name }) => name),
    [seats.get(SECOND)?.name],
  );
  assert.equal(await readMember(site.etcd, FIRST), undefined);
});

test("removeMember puts the only voter back when nobody takes its vote over", async () => {
  const removal = removeMember(depsOf(SECOND, { voteMs: 300 }), FIRST);
  await assert.rejects(removal, refused("member.remove-refused"));
  await assertUntouched(FIRST);
  assert.equal((await site.etcd.members.list()).length, 1);
});

test("removeMember changes nothing where the CAs' keys are missing, or may not sign", async () => {
  const without = async () => {
    throw new Fault("pki.no-authorities", "a compiler");
  };
  const late = async () => {
    throw new Fault("ca.clock-off", "an hour");
  };
  const cases: [string, Partial<RemovalDeps>][] = [
    ["pki.no-authorities", { authorities: without }],
    ["ca.clock-off", { requireSigner: late }],
  ];
  for (const [code, more] of cases) {
    await assert.rejects(removeMember(depsOf(FIRST, more), SECOND), refused(code));
    await assertUntouched(SECOND);
  }
});

test("removeMember refuses this server itself", async () => {
  await assert.rejects(removeMember(depsOf(SECOND), SECOND), refused("member.remove-refused"));
  await assertUntouched(SECOND);
});

test("removeMember names edges that haven't confirmed, takes the tokens along, counts copies", async () => {
  const missing = [
    { member: FIRST, because: "no answer in time" },
    { member: SECOND, because: "it is the one that goes" },
  ];
  const revokePuppet = async () => ({ confirmed: [], missing });
  const confirmCopies = async () => ({ copies: 1, of: [FIRST] });
  const told: Note[] = [];
  const note = (each: Note) => told.push(each);
  const deps = depsOf(FIRST, { revokePuppet, confirmCopies, note });
  const { unconfirmed, copies, lines } = await removeMember(deps, SECOND);
  assert.deepEqual(unconfirmed, [FIRST]);
  assert.equal(copies, 1);
  assert.match(lines.join("\n"), /refused by 0 of 1 members/);
  assert.deepEqual(await readTokens(site.etcd), []);
  assert.deepEqual(
    told.map(({ what, stages = [] }) => [what, stages.length]),
    [[`${SECOND} is removed`, 4]],
  );
});

test("a leaver whom nobody can take out stays what it was, unless its certificates are revoked", async () => {
  const ask = (fails: () => Promise<unknown>): Peers["call"] => {
    return async () => {
      await fails();
      throw new Fault("ca.record-older", "an old copy");
    };
  };
  const leaver = (fails: () => Promise<unknown>) =>
    depsOf(SECOND, { peers: { call: ask(fails), close: () => undefined } });
  const early = leaver(async () => undefined);
  for (const mayVote of [true, false]) {
    const phase = mayVote ? "ready" : "joining";
    await updateMember(site.etcd, SECOND, (kept) => kept && { ...kept, phase, mayVote });
    await startLeaving(early);
    await assert.rejects(askToLeave(early), refused("member.remove-refused"));
    const kept = await readMember(site.etcd, SECOND);
    assert.deepEqual([kept?.member.phase, kept?.member.mayVote], [phase, mayVote]);
  }
  // The other one fails once it has revoked.
  let serial = "";
  const late = async () => {
    const control = site.authorities.control;
    [serial = ""] = await revokeLeaves(site.etcd, control, SECOND, Date.now());
  };
  const deps = { ...leaver(late), ownSerial: async () => serial };
  await startLeaving(deps);
  await assert.rejects(askToLeave(deps), refused("member.half-removed"));
  assert.equal((await readMember(site.etcd, SECOND))?.member.phase, "leaving");
});

test("of two servers that leave, or are taken out, at the same moment one stays", async () => {
  const both = [startLeaving(depsOf(FIRST)), removeMember(depsOf(FIRST), SECOND)];
  const outcomes = await Promise.allSettled(both);
  const refusals = outcomes.filter((each) => each.status === "rejected");
  assert.deepEqual(
    refusals.map(({ reason }) => isFault(reason, "member.remove-refused")),
    [true],
  );
  const staying = (await readMembers(site.etcd)).filter(({ phase }) => phase === "ready");
  assert.equal(staying.length, 1);
});

test("a member that began to leave, and may not any more, is put back by the same command", async () => {
  const deps = depsOf(FIRST);
  assert.equal((await planLeaving(deps)).refused, "");
  await startLeaving(deps);
  // The other one goes for good meanwhile.
  const silent = (each: ReturnType<typeof answerOf>) => ({
    member: each.member,
    because: "silence",
  });
  const status = async () => {
    const answers = (await readMembers(site.etcd)).map((member) => {
      const each = answerOf(member.id, member.id === FIRST ? "leader" : "no", member);
      return member.id === FIRST ? each : silent(each);
    });
    return judgeStatus(clusterOf(FIRST, answers, 1));
  };
  assert.match((await planLeaving({ ...deps, status })).refused, /has the only vote in etcd/);
  assert.equal((await readMember(site.etcd, FIRST))?.member.phase, "ready");
});
