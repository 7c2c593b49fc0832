import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, edge, judge, local, NOW_MS, row, three } from "./testing/status.ts";
import type { Drain, Roll } from "./work.ts";
import { shortName } from "./work-status.ts";

process.env["TZ"] = "UTC";
const at = (seconds: number) => new Date(NOW_MS + seconds * 1000).toISOString();
const drain = (more: Partial<Drain> = {}): Drain => ({
  id: "s3",
  by: "ops",
  at: at(-60),
  reason: "kernel update",
  until: at(3 * 3600),
  ...more,
});
const said = (drains: Drain[]) => judge(three(), {}, { drains });

test("status tells who drained what until when and why, and how that is undone", () => {
  const status = said([drain()]);
  assert.deepEqual(status.notes, [
    's3 is drained by ops until 15:00: "kernel update" Undo: understudy undrain s3',
  ]);
  assert.match(status.verdict, /Every promise holds/, "it is somebody's wish");
  assert.deepEqual(said([drain({ until: at(-1) })]).notes, [], "it has ended");
  const { notes } = said([drain({ reason: "", until: undefined })]);
  assert.deepEqual(notes, ["s3 is drained by ops. Undo: understudy undrain s3"]);
});

test("status warns of a drain without an end that lasts, and of an address that nobody takes", () => {
  const { until: _, ...endless } = drain();
  const week = said([{ ...endless, at: at(-8 * 86_400) }]).warnings;
  assert.deepEqual(week, ["s3 has been drained for 8d, without an end: is it forgotten?"]);
  assert.deepEqual(said([drain({ at: at(-8 * 86_400) })]).warnings, []);
  const held = said([drain({ id: "s1" })]).warnings;
  assert.deepEqual(held, ["s1 is drained, and holds 10.0.0.10: no other server takes it."]);
  assert.deepEqual(said([drain({ id: "s1", at: at(-5) })]).warnings, []);
});

test("status tells what is paused, what that means and how it ends; after a day it asks", () => {
  const pause = {
    scope: "addresses",
    by: "ops",
    at: at(-60),
    reason: "switch",
    until: at(3 * 3600),
  };
  const judged = (more: Partial<typeof pause> & { id?: string }) =>
    judge(three(), {}, { drains: [], pauses: [{ ...pause, ...more }] });
  const { notes, warnings, verdict } = judged({});
  assert.match(
    notes[0] ?? "",
    /^Moves of addresses are paused by ops until 15:00: "switch" \(.*keepalived still/,
  );
  assert.match(notes[0] ?? "", /Undo: understudy resume --scope addresses$/);
  assert.deepEqual(warnings, []);
  assert.match(verdict, /Every promise holds/);
  assert.match(
    judged({ scope: "server", id: "s2" }).notes[0] ?? "",
    /^s2 is paused .* --scope s2$/,
  );
  assert.match(judged({ scope: "newer" }).notes[0] ?? "", /^newer are paused by ops/);
  const long = judged({ at: at(-90_000) }).warnings;
  assert.deepEqual(long, ["Moves of addresses are paused for 1d 1h in a row: is it forgotten?"]);
});

test("status tells where a roll is, doesn't warn of the one that restarts, and names where it halted", () => {
  const roll: Roll = {
    key: "k",
    does: "restart",
    by: "ops",
    at: at(-60),
    reason: "",
    ids: ["s1", "s2", "s3"],
    force: false,
    done: [{ id: "s1", at: at(-30), note: "" }],
    now: { id: "s2", step: "act", since: at(-5), was: "1", note: "" },
    until: at(60),
    stop: false,
  };
  const down = edge({ backends: [row("s1"), row("s2", { state: "down" }), row("s3")] });
  const members = ["s1", "s2", "s3"].map((id) => answer(id, local(id, { edge: down })));
  const { notes, warnings } = judge(members, {}, { drains: [], roll });
  assert.deepEqual(notes, [
    "puppetservers restart one after another for ops, 1 of 3 done: s2, it restarts.",
  ]);
  assert.deepEqual(warnings, []);
  const end = { how: "halted" as const, at: at(0), because: "it doesn't answer" };
  const halted = judge(members, {}, { drains: [], roll: { ...roll, end } });
  assert.match(halted.warnings.join("|"), /s2's puppetserver is down/);
  assert.match(halted.warnings.join("|"), /halted at s2, with 1 of 3 done: it doesn't answer/);
});

test("shortName is the first label where it is nobody else's", () => {
  const ids = ["s1.lab.test", "s2.lab.test", "s2.other.test", "s3"];
  assert.deepEqual(
    ids.map((id) => shortName(id, ids)),
    ["s1", "s2.lab.test", "s2.other.test", "s3"],
  );
});

test("status tells an upgrade that is under way, and one that halted", () => {
  const now = { id: "s2", step: "drain" as const, since: at(-1), was: "", note: "" };
  const roll: Roll = {
    key: "k",
    does: "upgrade",
    upgrade: { parts: ["haproxy"], servers: [{ id: "s2", packages: [], moves: true }] },
    by: "ops",
    at: at(-60),
    reason: "",
    ids: ["s1", "s2", "s3"],
    force: false,
    done: [{ id: "s1", at: at(-5), note: "" }],
    now,
    until: at(60),
    stop: false,
  };
  assert.deepEqual(judge(three(), {}, { drains: [], upgrade: roll }).notes, [
    "servers are upgraded one after another for ops, 1 of 3 done: s2, its requests are waited for, its addresses move.",
  ]);
  const end = { how: "halted" as const, at: at(-1), because: "no network" };
  const { warnings } = judge(three(), {}, { drains: [], upgrade: { ...roll, end } });
  assert.deepEqual(warnings, ["The upgrade for ops halted at s2, with 1 of 3 done: no network"]);
});
