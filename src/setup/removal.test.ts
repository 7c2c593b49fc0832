import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { type ClusterStatus, judgeStatus, type MemberAnswer } from "../cluster/status.ts";
import type { Member } from "../cluster/schema.ts";
import { planRemoval } from "./removal.ts";
import { answerOf, clusterOf } from "./testing/status.ts";

const LONE = /has the only vote in etcd/;
const answer = (id: string, runs: "leader" | "voter" | "no", more: Partial<Member> = {}) =>
  answerOf(id, runs, more);
const silent = (id: string, more: Partial<Member> = {}): MemberAnswer => ({
  member: answerOf(id, "no", more).member,
  because: "no answer in time",
});
const status = (members: MemberAnswer[], voters: number): ClusterStatus =>
  judgeStatus(clusterOf("s1", members, voters));

test("planRemoval lets a living voter go while enough others answer, and names what it held", () => {
  const three = [answer("s1", "leader"), answer("s2", "voter"), answer("s3", "voter")];
  const plan = planRemoval(status(three, 3), "s3");
  assert.equal(plan.refused, "");
  assert.match(plan.lines.join("\n"), /It answers!.*understudy leave[^]*keys of the Puppet CA/);
});

test("planRemoval of a server without a virtual IP sends who leaves to DNS first", () => {
  const facts = clusterOf(
    "s3",
    [answer("s1", "leader"), answer("s2", "voter"), answer("s3", "voter")],
    3,
  );
  const linesOf = (virtualIps: string[], by: "itself" | "another") => {
    const settings = { ...facts.settings, virtualIps };
    return planRemoval(judgeStatus({ ...facts, settings }), "s3", by).lines.join("\n");
  };
  assert.match(linesOf([], "itself"), /out of DNS, or of the balancer, first/);
  assert.doesNotMatch(linesOf(["10.0.0.10/24"], "itself"), /DNS/);
  assert.doesNotMatch(linesOf([], "another"), /DNS/);
});

test("planRemoval says when the last PuppetDB that answers queries goes", () => {
  const linesOf = (of3: Partial<Member>) => {
    const three = [
      answer("s1", "leader", { courier: true }),
      answer("s2", "voter", { courier: true, ...of3 }),
      answer("s3", "voter", { courier: true, puppetdb: "answers" }),
    ];
    return planRemoval(status(three, 3), "s3").lines.join("\n");
  };
  assert.match(linesOf({}), /Its PuppetDB is the only one that answers queries/);
  assert.match(linesOf({ puppetdb: "fills" }), /understudy puppetdb accept/);
  assert.doesNotMatch(linesOf({ puppetdb: "answers" }), /PuppetDB is the only/);
});

test("planRemoval refuses what would cost etcd its quorum, or the cluster its last server", () => {
  const cases: [string, ClusterStatus, string, RegExp][] = [
    ["the last server", status([answer("s1", "leader")], 1), "s1", /is this server itself/],
    [
      "one of two that answer of three",
      status([answer("s1", "leader"), answer("s2", "voter"), silent("s3")], 3),
      "s2",
      /only 1 of 2 etcd members would answer/,
    ],
    [
      "no quorum",
      status([answer("s1", "voter"), silent("s2"), silent("s3")], 3),
      "s2",
      /no quorum/,
    ],
    [
      "the only one that stays",
      status([answer("s1", "leader", { phase: "leaving" }), answer("s2", "no")], 1),
      "s2",
      /^s1 began to leave, and without s2 no server would stay/,
    ],
  ];
  for (const [name, now, id, because] of cases) {
    assert.match(planRemoval(now, id).refused, because, name);
  }
});

test("planRemoval lets the only voter go when another server can take its vote over", () => {
  const two = [answer("s1", "no"), answer("s2", "leader")];
  assert.equal(planRemoval(status(two, 1), "s2").refused, "");
  const itself = judgeStatus(clusterOf("s2", two, 1));
  assert.equal(planRemoval(itself, "s2", "itself").refused, "");
  const alone = judgeStatus(clusterOf("s2", [silent("s1"), answer("s2", "leader")], 1));
  assert.match(planRemoval(alone, "s2", "itself").refused, LONE);
  const half = [answer("s1", "no", { mayVote: false, phase: "joining" }), answer("s2", "leader")];
  assert.match(planRemoval(judgeStatus(clusterOf("s2", half, 1)), "s2", "itself").refused, LONE);
  const compiler = [
    answer("c1", "no", { role: "compiler", mayVote: false }),
    answer("s2", "leader"),
  ];
  const last = judgeStatus(clusterOf("s2", compiler, 1));
  assert.match(planRemoval(last, "s2", "itself").refused, /is the last server/);
});

test("planRemoval refuses this server itself, which has a command of its own for it", () => {
  const three = [answer("s1", "leader"), answer("s2", "voter"), answer("s3", "voter")];
  assert.match(planRemoval(status(three, 3), "s1").refused, /run understudy leave/);
  assert.equal(planRemoval(status(three, 3), "s1", "itself").refused, "");
});

test("planRemoval says of a compiler too what whoever has its disk could do", () => {
  const now = status([answer("s1", "leader"), silent("c1", { role: "compiler" })], 1);
  assert.match(planRemoval(now, "c1").lines.join("\n"), /held a key to etcd[^]*If it was stolen/);
});

test("planRemoval takes a name up to its first dot, and says whose it is", () => {
  const three = [answer("s1.test", "leader"), answer("s2.test", "voter"), silent("s3.test")];
  const plan = planRemoval(judgeStatus(clusterOf("s1.test", three, 3)), "s3");
  assert.equal(plan.id, "s3.test");
  assert.match(plan.lines[0] ?? "", /^s3\.test \(server, /);
});

test("planRemoval knows no stranger", () => {
  assert.throws(
    () => planRemoval(status([answer("s1", "leader")], 1), "nobody"),
    (error) => isFault(error, "member.not-found"),
  );
});

test("planRemoval keeps the living server that has the CA, and says what becomes of the others' certificates", () => {
  const ejected = { to: "s1", at: "2026-11-20T12:00:00Z", alone: false, handedOver: true };
  const ca = {
    serving: true,
    because: "",
    requests: 0,
    certificates: 0,
    crlNumber: 1,
    crlNextUpdate: "",
    directoryBehind: "",
    unreadable: [],
    unknownFiles: [],
    ejected,
  };
  const withCa = (each: MemberAnswer): MemberAnswer => ({
    ...each,
    ...(each.local && { local: { ...each.local, ca } }),
  });
  const three = [answer("s1", "leader"), answer("s2", "voter"), answer("s3", "voter")].map(withCa);
  assert.match(planRemoval(status(three, 3), "s1", "itself").refused, /s1 has the CA/);
  const other = planRemoval(status(three, 3), "s3");
  assert.equal(other.refused, "");
  assert.match(other.lines.join("\n"), /puppetserver ca revoke --certname s3/);
  const lost = [silent("s1"), answer("s2", "voter"), answer("s3", "voter")].map(withCa);
  const dead = planRemoval(judgeStatus(clusterOf("s2", lost, 3)), "s1");
  assert.equal(dead.refused, "");
  assert.match(dead.lines.join("\n"), /IT HAS THE CA/);
});
