import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { DRILL_KINDS, type DrillKind } from "../cluster/drill.ts";
import type { ClusterStatus, LocalStatus, MemberAnswer } from "../cluster/status.ts";
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
import type { Work } from "../cluster/work.ts";
import { moveTo, planDrill } from "./plan.ts";

const soon = new Date(NOW_MS + 60_000).toISOString();
const past = new Date(NOW_MS - 60_000).toISOString();
const AT = "2026-11-20T11:59:00.000Z";

type Courier = NonNullable<LocalStatus["courier"]>;
/** A courier that knows the PuppetDBs of s1 and s2, and asks s1's. */
function courier(more: Partial<Courier["puppetdbs"][number]> = {}): Courier {
  const one = { fit: true, because: "", commands: 0, oldestMs: 0, deadLetters: 0 };
  return {
    runs: true,
    because: "",
    couriers: [],
    singleCopies: 0,
    spoolBytes: 0,
    queries: "s1",
    puppetdbs: [
      { ...one, id: "s1" },
      { ...one, id: "s2", ...more },
    ],
    receivers: [],
  };
}

/** Three servers, of which s1 holds the address, s2 leads etcd, s1 and s2 have a PuppetDB. */
function whole(): MemberAnswer[] {
  return ["s1", "s2", "s3"].map((id) => {
    const runs = id === "s2" ? ("leader" as const) : ("voter" as const);
    const etcd = { runs, hasLeader: true, alarms: [], dbSizeBytes: 1, because: "" };
    const said = local(id, { etcd, courier: courier() });
    return answer(id, said, id === "s3" ? {} : { puppetdb: "answers" });
  });
}

function status(work: Work = { drains: [] }, more: Partial<ClusterStatus> = {}): ClusterStatus {
  return { ...judge(whole(), {}, work), ...more };
}

const TARGETS: [DrillKind, string][] = [
  ["puppetserver-kill", "s2"],
  ["edge-kill", "s1"],
  ["daemon-kill", "s2"],
  ["vip-move", "s1"],
  ["etcd-loss", "s2"],
  ["server-isolate", "s2"],
  ["puppetdb-kill", "s1"],
];
for (const [kind, server] of TARGETS) {
  test(`planDrill chooses ${server} for ${kind} when s1 drives, and refuses nothing`, () => {
    const plan = planDrill(status(), { kind }, NOW_MS);
    assert.deepEqual([plan.server, plan.refused], [server, []]);
    assert.ok(plan.lines.length > 3);
  });
}

test("planDrill takes the holder to isolate where another member drives", () => {
  const now = status({ drains: [] }, { answeredBy: "s3" });
  assert.equal(planDrill(now, { kind: "server-isolate" }, NOW_MS).server, "s1");
});

test("planDrill takes the server that is named, and throws for a name that is none", () => {
  assert.equal(planDrill(status(), { kind: "edge-kill", server: "s3" }, NOW_MS).server, "s3");
  const nobody = { kind: "edge-kill" as const, server: "s9" };
  assert.throws(() => planDrill(status(), nobody, NOW_MS), { code: "member.not-found" });
});

const drill = {
  id: "0123456789ab",
  kind: "edge-kill",
  server: "s1",
  driver: "s1",
  by: "ops",
  at: AT,
};
const roll: Work["roll"] = {
  key: "k",
  does: "restart",
  by: "ops",
  at: AT,
  reason: "",
  ids: ["s1"],
  force: false,
  done: [],
  until: soon,
  stop: false,
};
const pause = { scope: "chores", by: "ops", at: AT, reason: "r", until: soon };

/** What is so, for which kind, and the reason that is told. */
const REFUSED: [string, DrillKind, ClusterStatus, RegExp][] = [
  [
    "another drill",
    "edge-kill",
    status({ drains: [], drill: { ...drill, until: soon } }),
    /another drill/,
  ],
  ["a roll", "vip-move", status({ drains: [], roll }), /one after another \(restart\)/],
  [
    "a drain",
    "etcd-loss",
    status({ drains: [{ id: "s3", by: "ops", at: AT, reason: "" }] }),
    /s3 gets nothing new/,
  ],
  ["a pause", "daemon-kill", status({ drains: [], pauses: [pause] }), /chores is paused/],
  [
    "its own server",
    "server-isolate",
    status({ drains: [] }, { answeredBy: "s2" }),
    /drives the drill itself/,
  ],
  ["no quorum", "edge-kill", judge(whole(), { quorum: false, answering: 1 }), /no quorum/],
  [
    "a silent member",
    "daemon-kill",
    judge([...whole().slice(0, 2), silent("s3")]),
    /s3 doesn't answer/,
  ],
  [
    "a dead edge",
    "puppetserver-kill",
    judge(three("s3", { edge: edge({ active: false }) })),
    /s3's edge is down/,
  ],
  [
    "a wrong clock, by which its end would be judged",
    "etcd-loss",
    judge(three("s3", { clock: { offsetMs: 180_000, others: [] } })),
    /s3's clock is 180 s ahead of the others'/,
  ],
  ["a dead puppetserver", "edge-kill", judge(downEverywhere("s3")), /s3 of s3 is down/],
  ["an address of nobody", "edge-kill", judge(three("s1", { addresses: [] })), /held by 0 servers/],
  ["no address", "vip-move", judge(three("s1", { addresses: [] })), /holds a virtual IP/],
  ["no PuppetDB", "puppetdb-kill", judge(three()), /no member has a PuppetDB/],
  ["an alarm", "edge-kill", judge(three("s1", { etcd: alarmed() })), /alarm NOSPACE/],
];
function alarmed(): LocalStatus["etcd"] {
  return { runs: "voter", hasLeader: true, alarms: ["NOSPACE"], dbSizeBytes: 1, because: "" };
}
function downEverywhere(id: string): MemberAnswer[] {
  const rows = ["s1", "s2", "s3"].map((name) => row(name, name === id ? { state: "down" } : {}));
  return ["s1", "s2", "s3"].map((name) =>
    answer(name, local(name, { edge: edge({ backends: rows }) })),
  );
}
for (const [what, kind, now, reason] of REFUSED) {
  test(`planDrill refuses ${kind} for ${what}`, () => {
    const wish = what === "its own server" ? { kind, server: "s2" } : { kind };
    assert.match(planDrill(now, wish, NOW_MS).refused.join("\n"), reason);
  });
}

test("planDrill minds no drill, drain or pause that has ended", () => {
  const ended = {
    drains: [{ id: "s3", by: "ops", at: AT, reason: "", until: past }],
    pauses: [{ ...pause, until: past }],
    drill: { ...drill, until: past },
  };
  assert.deepEqual(planDrill(status(ended), { kind: "edge-kill" }, NOW_MS).refused, []);
});

test("planDrill refuses what nobody else could do meanwhile", () => {
  const alone = judge([answer("s1", local("s1", { edge: edge({ backends: [row("s1")] }) }))], {
    voters: 1,
    answering: 1,
  });
  const refusedFor = (kind: DrillKind) => planDrill(alone, { kind }, NOW_MS).refused.join("\n");
  assert.match(refusedFor("puppetserver-kill"), /no other puppetserver/);
  assert.match(refusedFor("edge-kill"), /no other edge/);
  assert.match(refusedFor("vip-move"), /no other edge/);
  assert.match(refusedFor("etcd-loss"), /without s1 nothing can be changed/);
  assert.match(refusedFor("server-isolate"), /no other server/);
  assert.match(refusedFor("daemon-kill"), /no other member/);
});

test("planDrill isolates no server that has the only PuppetDB", () => {
  const only = courier();
  const known = { ...only, puppetdbs: only.puppetdbs.filter(({ id }) => id === "s1") };
  const members = whole().map((each) => ({
    ...each,
    local: local(each.member.id, { courier: known }),
  }));
  const refusedFor = (server: string) =>
    planDrill(
      { ...judge(members), answeredBy: "s3" },
      { kind: "server-isolate", server },
      NOW_MS,
    ).refused.join();
  assert.match(refusedFor("s1"), /no other PuppetDB is fit/);
  assert.equal(refusedFor("s2"), "");
});

test("planDrill holds none outside of the windows that are set", () => {
  const at = (drillWindows: string[]) => {
    const now = status();
    return planDrill(
      { ...now, settings: { ...now.settings, drillWindows } },
      { kind: "edge-kill" },
      NOW_MS,
    );
  };
  // NOW_MS is a Friday, 12:00.
  assert.deepEqual(at(["Mon-Fri 11:00-13:00"]).refused, []);
  assert.match(at(["Mon-Thu 11:00-13:00"]).refused.join(), /Mon-Thu 11:00-13:00 \(UTC\) only/);
  assert.deepEqual(at([]).refused, []);
});

test("moveTo is a server that is neither side, and nobody where there is none", () => {
  assert.equal(moveTo(status(), ["s1", "s2"]), "s3");
  assert.equal(moveTo(status(), ["s1", "s2", "s3"]), undefined);
  const down = judge(three("s3", { edge: edge({ active: false }) }));
  assert.equal(moveTo(down, ["s1", "s2"]), undefined);
});

test("planDrill lets nothing through while anything is broken, and names one server at most", () => {
  const part = fc.constantFrom("edge", "silent", "record", "ca", "none");
  fc.assert(
    fc.property(fc.constantFrom(...DRILL_KINDS), fc.tuple(part, part, part), (kind, parts) => {
      const members = whole().map((each, index) => broken(each, parts[index] ?? "none"));
      const plan = planDrill(judge(members), { kind }, NOW_MS);
      const isWhole = parts.every((each) => each === "none");
      assert.equal(plan.refused.length === 0, isWhole, plan.refused.join("; "));
      assert.ok(plan.server === "" || members.some(({ member }) => member.id === plan.server));
    }),
  );
});

function broken(each: MemberAnswer, part: string): MemberAnswer {
  const { member, local: said } = each;
  if (said === undefined || part === "none") return each;
  if (part === "silent") return { member, because: "no answer in time" };
  const record = { reachable: false, because: "", ageMs: 0 };
  const ca = said.ca && { ...said.ca, serving: false };
  const changed = { edge: { edge: edge({ active: false }) }, record: { record }, ca: { ca } }[part];
  return { ...each, local: { ...said, ...changed } };
}
