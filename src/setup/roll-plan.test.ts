import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
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
import {
  describeEnd,
  planRestarts,
  renderRollPlan,
  requireRestarted,
  requireUpgraded,
  rollIds,
  tellRoll,
} from "./roll-plan.ts";
import { PARTS } from "../upgrade/parts.ts";
import type { UpgradeMeant } from "./work-contract.ts";

const ROLL: Roll = {
  key: "k",
  does: "restart",
  by: "ops",
  at: "",
  reason: "",
  ids: ["s1", "s2", "s3"],
  force: false,
  done: [{ id: "s1", at: "", note: "" }],
  until: "",
  stop: false,
};
const halted: Roll = {
  ...ROLL,
  now: { id: "s2", step: "return", since: "", was: "", note: "" },
  end: { how: "halted", at: "", because: "it doesn't answer" },
};
const refused = (error: unknown) => isFault(error, "roll.refused");
const all = { names: [], rest: false };

test("rollIds: every member with a puppetserver, those that were named, or the rest", () => {
  const witness = answer("w1", local("w1", { role: "witness" }), { backends: [] });
  const status = judge([...three(), witness]);
  assert.deepEqual(rollIds(status, all), ["s1", "s2", "s3"]);
  assert.deepEqual(rollIds(status, { ...all, names: ["s3", "s1", "s3"] }), ["s3", "s1"]);
  assert.throws(() => rollIds(status, { ...all, names: ["w1"] }), refused);
  const second = [{ name: "second", port: 8151, jrubies: 4, unfit: "" }];
  const odd = judge([...three().slice(0, 2), answer("s3", local("s3"), { backends: second })]);
  assert.deepEqual(rollIds(odd, all), ["s1", "s2"], "only the packaged one's unit is known");
  const after = judge(three(), {}, { drains: [], roll: halted });
  assert.deepEqual(rollIds(after, { ...all, rest: true }), ["s2", "s3"]);
  for (const roll of [undefined, ROLL, { ...halted, ids: ["s1"] }]) {
    const work = { drains: [], ...(roll === undefined ? {} : { roll }) };
    assert.throws(() => rollIds(judge(three(), {}, work), { ...all, rest: true }), refused);
  }
});

test("requireRestarted: a restart under way is another one's only where it has every server", () => {
  requireRestarted(ROLL, ["s1", "s3"]);
  assert.throws(() => requireRestarted(ROLL, ["s1", "s4", "s5"]), /leaves out s4, s5$/);
});

test("requireUpgraded: an upgrade under way is another one's only where it has all of it", () => {
  const meant = (more: Partial<UpgradeMeant>) => ({ parts: [], names: [], ...more });
  const of = (parts: readonly string[], everyone?: boolean): Roll => {
    const upgrade = { parts: [...parts], servers: [], ...(everyone !== undefined && { everyone }) };
    return { ...ROLL, does: "upgrade", upgrade, ids: ["s1", "s2.lab.test"] };
  };
  requireUpgraded(of(PARTS, true), meant({}));
  requireUpgraded(of(PARTS), meant({}));
  requireUpgraded(of(["haproxy", "etcd"], false), meant({ parts: ["etcd"], names: ["s2", "s1"] }));
  const cases: [Roll, Partial<UpgradeMeant>, RegExp][] = [
    [of(["haproxy"], true), { parts: ["haproxy", "etcd"] }, /leaves out etcd$/],
    [of(["haproxy"], true), {}, /puppetserver/],
    [of(PARTS, false), {}, /leaves out every other server$/],
    [of(PARTS, true), { names: ["s3"] }, /leaves out s3$/],
  ];
  for (const [roll, more, because] of cases) {
    assert.throws(() => requireUpgraded(roll, meant(more)), because);
  }
  assert.throws(() => requireUpgraded(of(["haproxy"]), meant({})), refused);
});

test("planRestarts says what capacity is left at each, and refuses where nobody else serves", () => {
  const plan = planRestarts(judge(three()), ["s1", "s2", "s3"], NOW_MS);
  assert.equal(plan.refused, "");
  assert.deepEqual(plan.steps[1], { id: "s2", left: 8, now: 12 });
  assert.match(renderRollPlan(plan), /^2 +s2 +8 of 12$/m);
  const only = edge({ backends: [row("s1")] });
  const single = [answer("s1", local("s1", { edge: only }))];
  assert.match(planRestarts(judge(single), ["s1"], NOW_MS).refused, /no other puppetserver/);
  const dead = [...three().slice(0, 2), silent("s3")];
  assert.match(planRestarts(judge(dead), ["s1", "s3"], NOW_MS).refused, /s3 can't be asked/);
});

test("planRestarts says what would wait", () => {
  const rows = [row("s1", { busy: 4 }), row("s2", { busy: 3 })];
  const two = ["s1", "s2"].map((id) => answer(id, local(id, { edge: edge({ backends: rows }) })));
  const { risks } = planRestarts(judge(two), ["s1", "s2"], NOW_MS);
  assert.match(risks[0] ?? "", /^10 of the requests that run now would wait while s1's/);
});

test("tellRoll tells each step and each server once", () => {
  const at = (step: "drain" | "act") => ({ id: "s2", step, since: "", was: "", note: "" });
  const first = { ...ROLL, now: at("drain") };
  assert.deepEqual(tellRoll(undefined, first), [" ✓ s1", "   … s2: its requests are waited for"]);
  assert.deepEqual(tellRoll(first, first), []);
  assert.deepEqual(tellRoll(first, { ...ROLL, now: at("act") }), ["   … s2: it restarts"]);
});

test("describeEnd says what is so now", () => {
  const text = describeEnd(halted).join("\n");
  assert.match(text, /halted at s2: it doesn't answer/);
  assert.match(text, /Done: s1\. Not done: s2, s3\./);
  assert.match(text, /--rest/);
});

test("planRestarts and a drill don't go together, unless that has ended", () => {
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
  assert.throws(() => planRestarts(status, ["s1"], NOW_MS), refused);
  assert.equal(planRestarts(status, ["s1"], NOW_MS + 2000).refused, "");
});

test("tellRoll and describeEnd tell an upgrade, how it goes on and how it goes back", () => {
  const packages = [{ name: "haproxy", from: "2.6-1", to: "2.6-2" }];
  const servers = ["s1", "s2", "s3"].map((id) => ({ id, packages, moves: true }));
  const upgrade = { parts: ["haproxy"], servers };
  const now = { id: "s2", step: "act" as const, since: "", was: "", note: "" };
  const roll: Roll = { ...ROLL, does: "upgrade", upgrade, now };
  assert.deepEqual(tellRoll(ROLL, roll), ["   … s2: its packages are upgraded"]);
  const end = { how: "halted" as const, at: "", because: "no network" };
  const lines = describeEnd({ ...roll, end });
  assert.equal(lines[0], "It halted at s2: no network");
  assert.match(lines.join("\n"), /^To go on: understudy upgrade again/m);
  assert.match(lines.join("\n"), /on s2, .*apt-get install --allow-downgrades haproxy=2\.6-1$/m);
  const before = describeEnd({ ...roll, now: { ...now, step: "drain" }, end });
  assert.doesNotMatch(before.join("\n"), /Or back/, "nothing was upgraded there");
  const done = ROLL.ids.map((id) => ({ id, at: "", note: "" }));
  const ended = { ...roll, now: undefined, done, end: { ...end, how: "done" as const } };
  assert.deepEqual(describeEnd(ended), ["3 servers upgraded: s1, s2, s3"]);
});
