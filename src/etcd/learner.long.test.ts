// Membership with real members: from one voter to three, a dead one replaced, and five on request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { startEtcdCluster, type EtcdTestCluster, type TestMember } from "./testing/cluster.ts";
import type { Etcd } from "./types.ts";
import { caughtUp, planVoters, type VoterAction, type VoterCandidate } from "./voters.ts";

const SLOW = { withinMs: 20_000 };
let cluster: EtcdTestCluster;
let etcd: Etcd;

before(async () => {
  cluster = await startEtcdCluster({ tls: true });
  etcd = cluster.client();
});

after(() => cluster.close());

test("a learner copies, and answers serializable reads only", async () => {
  await etcd.transact({ when: [], then: [{ put: "a", value: "1" }] });
  const learner = await cluster.prepare();
  const id = await etcd.members.addLearner(learner.peerUrl);
  assert.equal(await etcd.members.addLearner(learner.peerUrl), id, "adding twice is harmless");
  await cluster.join(learner);
  const alone = cluster.client({ endpoints: [learner.clientUrl] });
  const read = () => alone.get("a", { serializable: true, withinMs: 500 }).catch(() => undefined);
  assert.equal((await until("its copy", read, SLOW)).value, "1");
  assert.equal((await alone.status(learner.clientUrl)).learner, true);
  await assert.rejects(alone.get("a", { withinMs: 500 }), (error) =>
    isFault(error, "etcd.no-quorum"),
  );
  const both = cluster.client({ endpoints: [learner.clientUrl, ...cluster.endpoints.slice(0, 1)] });
  assert.equal((await both.get("a"))?.value, "1");
  await both.transact({ when: [], then: [{ put: "a", value: "2" }] });
  const second = await cluster.prepare();
  await assert.rejects(etcd.members.addLearner(second.peerUrl), (error) =>
    isFault(error, "etcd.refused"),
  );
  await etcd.members.remove(id);
  await etcd.members.remove(id);
  await learner.kill();
  assert.equal((await etcd.members.list()).length, 1);
});

test("planVoters, carried out: one voter to three, a dead one replaced, five and back", async () => {
  const [one] = cluster.members;
  assert.ok(one);
  const servers = [one, await cluster.prepare(), await cluster.prepare(), await cluster.prepare()];
  const wants = new Set(servers.slice(0, 3));
  const down = new Set<TestMember>();
  await settle(3, servers, wants, down);
  assert.deepEqual(await voters(), namesOf(servers.slice(0, 3)));
  // One dies for good and another server takes its seat.
  const [, dead, , spare] = servers;
  assert.ok(dead && spare);
  await dead.kill();
  down.add(dead);
  wants.delete(dead);
  wants.add(spare);
  await settle(3, servers, wants, down);
  assert.deepEqual(await voters(), namesOf(servers.filter((server) => server !== dead)));
  await etcd.transact({ when: [], then: [{ put: "a", value: "3" }] }, SLOW);
  const more = [...servers, await cluster.prepare(), await cluster.prepare()];
  await settle(5, more, new Set(more.filter((server) => server !== dead)), down);
  assert.equal((await voters()).length, 5);
  // Back to three, of those that there are.
  await settle(3, more, new Set(more.filter((server) => server !== dead)), down);
  assert.equal((await voters()).length, 3);
  await etcd.transact({ when: [], then: [{ put: "a", value: "4" }] }, SLOW);
});

const namesOf = (members: TestMember[]) => members.map((member) => member.name).toSorted();

async function voters(): Promise<string[]> {
  const members = await etcd.members.list(SLOW);
  assert.ok(members.every((member) => !member.learner));
  return members.map((member) => member.name).toSorted();
}

/** Looks, plans and acts until nothing is left to do. */
async function settle(
  desired: 1 | 3 | 5,
  servers: TestMember[],
  wants: Set<TestMember>,
  down: Set<TestMember>,
): Promise<void> {
  const candidates = servers.map((server): VoterCandidate => ({
    id: server.name,
    name: server.name,
    peerUrl: server.peerUrl,
    wants: wants.has(server),
    ready: !down.has(server),
  }));
  const look = async () => {
    const actions = planVoters(desired, candidates, { members: await observe() });
    for (const action of actions) await act(action, servers);
    return actions.length === 0;
  };
  await until(`${desired} voters`, look, { withinMs: 60_000 });
}

async function observe() {
  const leader = await etcd.status((await cluster.leader()).clientUrl);
  const members = await etcd.members.list(SLOW);
  return Promise.all(
    members.map(async (member) => {
      const url = member.clientUrls[0];
      const said = url === undefined ? undefined : await etcd.status(url).catch(() => undefined);
      return {
        ...member,
        healthy: said !== undefined && said.leaderId !== "0",
        leader: leader.memberId === member.id,
        caughtUp: said !== undefined && caughtUp(said, leader),
      };
    }),
  );
}

async function act(action: VoterAction, servers: TestMember[]): Promise<void> {
  // etcd refuses changes for some seconds after a member came or went: the next look tries again.
  const later = (error: unknown) => {
    if (!isFault(error, "etcd")) throw error;
  };
  if (action.do === "add-learner") {
    const server = servers.find((server) => server.peerUrl === action.peerUrl);
    const added = await etcd.members.addLearner(action.peerUrl).catch(later);
    if (added !== undefined && server !== undefined) await cluster.join(server);
  }
  if (action.do === "promote") await etcd.members.promote(action.memberId).catch(later);
  if (action.do === "remove") await etcd.members.remove(action.memberId).catch(later);
}
