import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import type { MemberAnswer } from "../cluster/status.ts";
import {
  answer,
  edge,
  judge,
  local,
  NOW_MS,
  row,
  silent,
  three,
} from "../cluster/testing/status.ts";
import type { Roll } from "../cluster/work.ts";
import { heirsOf, judgeDrained, planDrain, renderDrainPlan } from "./drain-plan.ts";

const plan = (members: MemberAnswer[], id = "s1", drained: string[] = []) => {
  const drains = drained.map((each) => ({ id: each, by: "ops", at: "", reason: "" }));
  return planDrain(judge(members, {}, { drains }), id, NOW_MS);
};

test("planDrain says where addresses and requests go, and what capacity is left", () => {
  const said = plan(three());
  assert.equal(said.refused, "");
  assert.deepEqual(said.capacity, { now: 12, left: 8, busy: 0, waiting: 0 });
  assert.deepEqual(said.topology, [
    { id: "s1", now: "4 JRubies, 10.0.0.10", then: "drained" },
    { id: "s2", now: "4 JRubies", then: "4 JRubies, 10.0.0.10" },
    { id: "s3", now: "4 JRubies", then: "4 JRubies" },
  ]);
  const text = renderDrainPlan(said);
  assert.match(text, /2\. 10\.0\.0\.10 goes to another server: s2 is next in line/);
  assert.match(text, /Capacity: 8 of 12 JRubies are left/);
});

test("planDrain shows whoever is handed the addresses, though another one is next in line", () => {
  const said = planDrain(judge(three()), "s1", NOW_MS, { to: "s3", breaks: "" });
  assert.deepEqual(
    said.topology.map(({ then }) => then),
    ["drained", "4 JRubies", "4 JRubies, 10.0.0.10"],
  );
});

test("planDrain refuses to take the last server or puppetserver away, and says why", () => {
  const edgeless = (id: string) => local(id, { edge: edge({ active: false, backends: [] }) });
  const lost = (id: string) => row(id, { state: "down", because: "refused" });
  const alone = edge({ backends: [row("s1"), lost("s2"), lost("s3")] });
  const only = ["s1", "s2", "s3"].map((id) => answer(id, local(id, { edge: alone })));
  const cases: [string, MemberAnswer[], string[], RegExp][] = [
    ["a single one", three().slice(0, 1), [], /no other server is ready/],
    ["the others are silent", [answer("s1"), silent("s2"), silent("s3")], [], /no other server/],
    ["the others' edges are down", [answer("s1"), answer("s2", edgeless("s2"))], [], /no other/],
    ["the others are drained", three(), ["s2", "s3"], /no other server is ready/],
    ["no other compiles", only, [], /no other puppetserver is up/],
    ["one other is left", three(), ["s2"], /^$/],
  ];
  for (const [what, members, drained, refused] of cases) {
    assert.match(plan(members, "s1", drained).refused, refused, what);
  }
  const forced = plan(three().slice(0, 1));
  assert.match(forced.steps.map(({ what }) => what).join("|"), /10\.0\.0\.10 stays/);
});

test("heirsOf leaves out a server whose addresses an upgrade sends away", () => {
  const upgrade: Roll = {
    key: "k",
    does: "upgrade",
    upgrade: { parts: ["haproxy"], servers: [{ id: "s2", packages: [], moves: true }] },
    by: "ops",
    at: "",
    reason: "",
    ids: ["s2"],
    force: false,
    done: [],
    now: { id: "s2", step: "act", since: "", was: "", note: "" },
    until: new Date(NOW_MS + 1000).toISOString(),
    stop: false,
  };
  const heirs = (roll: Roll) =>
    heirsOf(judge(three(), {}, { drains: [], upgrade: roll }), "s1", NOW_MS);
  assert.deepEqual(heirs(upgrade), ["s3"]);
  const stays = { parts: ["etcd"], servers: [{ id: "s2", packages: [], moves: false }] };
  assert.deepEqual(heirs({ ...upgrade, upgrade: stays }), ["s2", "s3"]);
});

test("planDrain refuses the second of two compilers before edges have seen the first go", () => {
  const only = edge({ backends: [row("c1"), row("c2")] });
  const servers = ["s1", "s2"].map((id) => answer(id, local(id, { edge: only }), { backends: [] }));
  const compilers = ["c1", "c2"].map((id) => {
    const { edge: _, ...said } = local(id, { role: "compiler", addresses: [] });
    return answer(id, said);
  });
  const members = [...servers, ...compilers];
  assert.equal(plan(members, "c2").refused, "");
  const second = plan(members, "c2", ["c1"]);
  assert.match(second.refused, /no other puppetserver is up/);
  assert.deepEqual([second.capacity.now, second.capacity.left], [4, 0]);
});

test("planDrain says what is at risk", () => {
  const busy = edge({ backends: [row("s1", { busy: 4 }), row("s2", { busy: 4 }), row("s3")] });
  const waits = { ...busy, waiting: 2 };
  const cases: [string, MemberAnswer[], RegExp][] = [
    ["too much to do", three("s1", { edge: waits }), /^2 of the requests that run now would wait/],
    ["two servers", three().slice(0, 2), /^only s2 takes agents then$/],
    ["it is silent", [silent("s1"), answer("s2"), answer("s3")], /^s1 doesn't answer/],
  ];
  for (const [what, members, risk] of cases) {
    const { risks } = plan(members);
    assert.equal(risks.filter((each) => risk.test(each)).length, 1, `${what}: ${risks.join("|")}`);
  }
  assert.deepEqual(plan(three(), "s2").risks, []);
  const connected = three("s1", { edge: edge({ connections: 5 }) });
  assert.deepEqual(plan(connected).risks, [], "a switchover keeps them");
  assert.deepEqual(
    planDrain(judge(connected), "s1", NOW_MS, { to: "s2", breaks: "it is IPv6" }).risks,
    ["connections that are open to 10.0.0.10 (5 now) break when it moves: it is IPv6"],
  );
  const status = judge(three(), { answering: 2 });
  assert.match(planDrain(status, "s1", NOW_MS).risks.join("|"), /etcd has no quorum then/);
});

test("planDrain says when the busiest half hour wouldn't be carried", () => {
  const load = (seen: number) => ({ slot: 1, now: 0, past: [seen] });
  const risks = (seen: number) =>
    plan(
      [answer("s1"), answer("s2", local("s2", { edge: edge({ load: load(seen) }) })), answer("s3")],
      "s2",
    ).risks;
  assert.deepEqual(risks(6.4), []);
  assert.match(risks(6.5).join("|"), /asked for 6\.5 JRubies at once: with 8/);
});

test("planDrain has nothing to drain at a witness, and at who leaves anyway", () => {
  const witness = answer("w1", local("w1", { role: "witness" }));
  const leaving = answer("s3", local("s3"), { phase: "leaving" });
  for (const odd of [witness, leaving]) {
    assert.throws(
      () => plan([...three().slice(0, 2), odd], odd.member.id),
      (error) => isFault(error, "drain.refused"),
    );
  }
});

test("judgeDrained tells what is still open", () => {
  const out = (id: string, more: Parameters<typeof row>[1] = {}) =>
    row(id, { state: "drained", ...more });
  const seen = (own: Partial<ReturnType<typeof edge>>, rows: ReturnType<typeof row>[]) => [
    answer("s1", local("s1", { edge: edge({ backends: rows }) })),
    answer("s3", local("s3", { addresses: [], edge: edge({ backends: rows, ...own }) })),
  ];
  const others = (own: Partial<ReturnType<typeof edge>>, rows: ReturnType<typeof row>[]) => [
    answer("s1", local("s1", { edge: edge({ backends: rows, ...own }) })),
    answer("s3", local("s3", { addresses: [], edge: edge({ backends: rows }) })),
  ];
  const drained = [row("s1"), out("s3")];
  const judged = (members: MemberAnswer[], running?: number) =>
    judgeDrained(judge(members), "s3", running);
  assert.equal(judged(seen({}, drained), 0).drained, true);
  const cases: [string, MemberAnswer[], number | undefined, RegExp][] = [
    ["an edge is late", seen({}, [row("s1"), row("s3")]), 0, /s1's edge still sends it requests/],
    ["it works", seen({}, [out("s3", { busy: 2 })]), 0, /4 requests still there/],
    ["as only it tells", seen({}, drained), 3, /3 requests still there/],
    ["agents are connected", seen({ connections: 1 }, drained), 0, /1 connection of agents/],
    ["a former worker", seen({ formerWorkers: 1 }, drained), 0, /ends what it had before/],
    ["it doesn't tell", others({ formerWorkers: 1 }, drained), undefined, /can't be told/],
  ];
  for (const [what, members, running, left] of cases) {
    const progress = judged(members, running);
    assert.equal(progress.drained, false, what);
    assert.match(progress.left.join("|"), left, what);
  }
  const nothing: [string, MemberAnswer[], number | undefined][] = [
    ["it tells so", others({ formerWorkers: 1 }, drained), 0],
    ["no edge has anything of before", others({}, drained), undefined],
    [
      "it is down",
      others({ formerWorkers: 1 }, [row("s1"), out("s3", { state: "down" })]),
      undefined,
    ],
  ];
  for (const [what, members, running] of nothing) {
    assert.equal(judged(members, running).drained, true, what);
  }
  const gone = judged([
    answer("s1", local("s1", { edge: edge({ backends: drained }) })),
    silent("s3"),
  ]);
  assert.match(gone.left.join("|"), /^it doesn't answer/);
  const holder = judgeDrained(judge(three()), "s1", 0);
  assert.match(holder.left.join("|"), /still holds 10\.0\.0\.10/);
  assert.deepEqual(judged([silent("s1"), answer("s3", local("s3", { addresses: [] }))]).silent, [
    "s1",
  ]);
});

test("planDrain refuses who holds an address from a member that can't move it, and no other", () => {
  const compiler = answer("c1", local("c1", { role: "compiler", addresses: [] }));
  const from = (answeredBy: string, id: string, members = [...three(), compiler]) =>
    planDrain({ ...judge(members), answeredBy }, id, NOW_MS).refused;
  assert.match(from("c1", "s1"), /^c1 is no server: .* 10\.0\.0\.10 break.*understudy drain s1$/);
  assert.equal(from("s2", "s1"), "");
  assert.equal(from("c1", "s2"), "");
});

test("planDrain refuses during a drill, unless that has ended", () => {
  const drill = {
    id: "0123456789ab",
    kind: "edge-kill",
    server: "s2",
    driver: "s1",
    by: "ops",
    at: "",
    until: new Date(NOW_MS + 1000).toISOString(),
  };
  const status = judge(three(), {}, { drains: [], drill });
  assert.match(planDrain(status, "s1", NOW_MS).refused, /drill edge-kill at s2.*drill stop/);
  assert.equal(planDrain(status, "s1", NOW_MS + 2000).refused, "");
});
