import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { type ClusterStatus, judgeStatus, type MemberAnswer } from "../cluster/status.ts";
import { notFollowing, planEject, requireWholeCrl } from "./eject-plan.ts";
import { answerOf, clusterOf } from "./testing/status.ts";

type Ejected = NonNullable<NonNullable<NonNullable<MemberAnswer["local"]>["ca"]>["ejected"]>;

const AT = "2026-11-20T12:00:00Z";
const EJECTED: Ejected = { to: "s1", at: AT, alone: false, handedOver: false };

function server(id: string, runs: "leader" | "voter" | "no", ejected?: Ejected): MemberAnswer {
  const answer = answerOf(id, runs);
  const ca = {
    serving: true,
    because: "",
    requests: 2,
    certificates: 7,
    crlNumber: 4,
    crlNextUpdate: "",
    directoryBehind: "",
    unreadable: [],
    unknownFiles: [],
    ...(ejected && { ejected }),
  };
  return { ...answer, ...(answer.local && { local: { ...answer.local, ca } }) };
}

function silent(id: string): MemberAnswer {
  return { member: answerOf(id, "no").member, because: "no answer in time" };
}

const status = (members: MemberAnswer[], voters = 1): ClusterStatus =>
  judgeStatus(clusterOf("s1", members, voters));

test("planEject says what becomes of this server, of the others, and that there is no way back", () => {
  const plan = planEject(status([server("s1", "leader"), server("s2", "no")]), false);
  assert.deepEqual([plan.id, plan.state, plan.refused], ["s1", "ours", ""]);
  const said = plan.lines.join("\n");
  assert.match(said, /stock Puppet Server's on s1: 7 signed, 2 waiting, CRL 4\./);
  assert.match(said, /s2: no longer a CA.*passed on to s1/);
  assert.match(said, /No server can join any more/);
  assert.doesNotMatch(said, /ALONE/);
});

test("planEject refuses what can't be: no quorum, no CA here, half a member, an older version", () => {
  const setup = server("s1", "leader");
  if (setup.local !== undefined) setup.local.phase = "setup";
  const leaving = server("s1", "leader");
  leaving.member.phase = "leaving";
  const old = server("s2", "no");
  old.member.version = "0.0.1";
  const cases: [string, MemberAnswer[], boolean, RegExp][] = [
    ["no quorum", [server("s1", "no"), silent("s2")], false, /no quorum.*lost for good: --alone/],
    ["quorum, and alone", [server("s1", "leader"), silent("s2")], true, /without --alone/],
    ["a compiler", [answerOf("s1", "leader", { role: "compiler" })], false, /no certificate auth/],
    ["in setup", [setup], false, /no full member/],
    ["leaving", [leaving], false, /no full member now \(leaving\)/],
    ["an older version", [server("s1", "leader"), old], false, /s2 \(0\.0\.1\)/],
  ];
  for (const [what, members, alone, why] of cases) {
    assert.match(planEject(status(members), alone).refused, why, what);
  }
});

test("planEject alone names every other server, and says that it must not sign", () => {
  const { refused, lines } = planEject(status([server("s1", "no"), silent("s2")]), true);
  assert.equal(refused, "");
  assert.match(lines.join("\n"), /ALONE[^]*s2 \(it doesn't answer\) must not sign any more/);
  const near = planEject(status([server("s1", "no"), server("s2", "no")]), true);
  assert.match(near.lines.join("\n"), /s2 \(IT ANSWERS\)/);
});

test("planEject goes on where it was begun, is done where it is, and there is one place only", () => {
  const cases: [Ejected, string, RegExp][] = [
    [EJECTED, "ended", /^$/],
    [{ ...EJECTED, handedOver: true }, "handed-over", /^$/],
    [{ ...EJECTED, to: "s2" }, "elsewhere", /ejected to s2 at 2026/],
  ];
  for (const [ejected, state, refused] of cases) {
    // Without quorum too: what has ended has ended.
    for (const runs of ["leader", "no"] as const) {
      const plan = planEject(status([server("s1", runs, ejected), server("s2", "no")]), false);
      assert.equal(plan.state, state);
      assert.match(plan.refused, refused);
    }
  }
  // This server's daemon may not have heard of it yet.
  const heard = [server("s1", "leader"), server("s2", "no", { ...EJECTED, to: "s2" })];
  assert.equal(planEject(status(heard), false).state, "elsewhere");
});

test("planEject gives the CA of a server that is lost to another one, alone only, once it is out", () => {
  const gone = { ...EJECTED, to: "s9" };
  const members = [server("s1", "leader", gone), server("s2", "no", gone)];
  assert.match(planEject(status(members), false).refused, /the same command with --alone/);
  const plan = planEject(status(members), true);
  assert.deepEqual([plan.state, plan.refused], ["ours", ""]);
  assert.match(plan.lines.join("\n"), /s9 HAD THE CA[^]*must never come back/);
  assert.doesNotMatch(plan.lines.join("\n"), /ALONE/);
  const there = [server("s1", "leader", gone), silent("s9")];
  assert.match(planEject(status(there), true).refused, /understudy member remove s9, then/);
  // Without quorum it can't be taken out.
  const none = planEject(status([server("s1", "no", gone), silent("s9")]), true);
  assert.equal(none.refused, "");
  assert.match(none.lines.join("\n"), /ALONE/);
});

test("notFollowing names servers that are silent, ask daemons, or get no answer", () => {
  const asking = (id: string, stockCa?: { of: string; up: boolean }): MemberAnswer => {
    const answer = server(id, "no");
    const edge = {
      active: true,
      because: "",
      confirmedCrl: 0,
      replays: 0,
      waiting: 0,
      poisonous: [],
      backends: [],
      ...(stockCa && { stockCa }),
    };
    return { ...answer, ...(answer.local && { local: { ...answer.local, edge } }) };
  };
  const members = [
    asking("s1", { of: "s1", up: true }),
    asking("s2"),
    asking("s3", { of: "s1", up: false }),
    silent("s4"),
    answerOf("c1", "no", { role: "compiler" }),
  ];
  assert.deepEqual(notFollowing(status(members), "s1"), ["s2", "s3", "s4"]);
});

test("requireWholeCrl refuses a ca.conf with which edges would hear of revoked servers only", () => {
  const caConf = (value: string) => `certificate-authority: { enable-infra-crl: ${value} }`;
  requireWholeCrl(undefined);
  requireWholeCrl("certificate-authority: {}");
  requireWholeCrl(caConf("false"));
  assert.throws(
    () => requireWholeCrl(caConf("true")),
    (error) => isFault(error, "eject.infra-crl"),
  );
  assert.throws(
    () => requireWholeCrl(caConf("{")),
    (error) => isFault(error, "ca.conf"),
  );
});
