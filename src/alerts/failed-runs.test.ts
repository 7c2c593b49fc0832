import assert from "node:assert/strict";
import { test } from "node:test";
import type { FailedRun, FailedRuns } from "../cluster/failed-runs.ts";
import { AlertChannel } from "../cluster/schema.ts";
import { digestMessages, planDigest, renderDigest } from "./failed-runs.ts";
import { Message } from "./state.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const HOW = { everyMs: 3_600_000, nowMs: NOW_MS };

function run(number: number, certname: string, more: Partial<FailedRun> = {}): FailedRun {
  const takenMs = NOW_MS - 600_000 + number;
  return { number, takenMs, certname, environment: "production", resources: [], more: 0, ...more };
}

const courier = (runs: FailedRun[], life = "1"): FailedRuns => ({ life, runs });

test("planDigest puts all couriers' runs together, and tells each once", () => {
  const both = new Map([
    ["s1", courier([run(1, "web1"), run(2, "web2")])],
    ["s2", courier([run(1, "web1")])],
  ]);
  const plan = planDigest(undefined, both, HOW);
  assert.equal(plan?.digest.title, "runs of 2 nodes failed");
  const later = { ...HOW, nowMs: NOW_MS + HOW.everyMs };
  assert.equal(planDigest(plan?.told, both, later), undefined);
  both.set("s2", courier([run(1, "web1"), run(2, "web3")]));
  assert.equal(planDigest(plan?.told, both, HOW), undefined, "before the interval is over");
  assert.equal(planDigest(plan?.told, both, later)?.digest.title, "runs of 1 node failed");
  assert.ok(plan);
  const ahead = { ...plan.told, toldMs: NOW_MS + 86_400_000 };
  assert.ok(planDigest(ahead, both, HOW), "a leader with a wrong clock told them");
});

test("planDigest waits a moment for others, and forgets nothing of a courier that is silent", () => {
  const fresh = new Map([["s1", courier([run(1, "web1", { takenMs: NOW_MS - 1000 })])]]);
  assert.equal(planDigest(undefined, fresh, HOW), undefined);
  const first = planDigest(undefined, new Map([["s1", courier([run(1, "web1")])]]), HOW);
  const later = { ...HOW, nowMs: NOW_MS + HOW.everyMs };
  const other = planDigest(first?.told, new Map([["s2", courier([run(1, "web2")])]]), later);
  assert.deepEqual(other?.told.seen["s1"], { life: "1", number: 1 });
});

test("planDigest takes a courier that began anew from its beginning, and counts what was lost", () => {
  const told = { toldMs: 0, seen: { s1: { life: "1", number: 90 } } };
  const anew = planDigest(told, new Map([["s1", courier([run(1, "web1")], "2")]]), HOW);
  assert.equal(anew?.told.seen["s1"]?.number, 1);
  const gap = planDigest(told, new Map([["s1", courier([run(101, "web1")])]]), HOW);
  assert.match(gap?.digest.lines.at(-1) ?? "", /^and 10 more runs, too many to be kept$/);
});

test("renderDigest tells each node once, with what failed last and how often", () => {
  const resources = [{ name: "File[/x]", where: "/site.pp:3", message: "no space" }];
  const { lines } = renderDigest([run(1, "web1"), run(2, "web1", { resources, more: 2 })], 0);
  assert.deepEqual(lines, [
    "web1 (production, 11:50 UTC, 2 times)",
    "  File[/x] (/site.pp:3): no space",
    "  and 2 more resources",
  ]);
});

test("a digest of very many nodes stays small enough for the record", () => {
  const long = "x".repeat(300);
  const resources = Array.from({ length: 5 }, () => ({ name: long, where: long, message: long }));
  const runs = Array.from({ length: 900 }, (_, n) => run(n + 1, `web${n}`, { resources }));
  const digest = renderDigest(runs, 7);
  assert.match(digest.lines.join("\n"), /and 860 more nodes/);
  const channels = [AlertChannel.parse({ name: "ops", type: "json" })];
  const [message] = digestMessages(digest, channels, { atMs: NOW_MS, newId: () => "1" });
  assert.deepEqual(Message.parse(message), message);
  assert.ok(JSON.stringify(message).length < 30_000);
});

test("only channels that want failed runs get them", () => {
  const channels = [
    AlertChannel.parse({ name: "all", type: "json" }),
    AlertChannel.parse({ name: "bad", type: "json", minSeverity: "critical" }),
    AlertChannel.parse({ name: "etcd", type: "json", kinds: ["etcd"] }),
    AlertChannel.parse({ name: "not", type: "json", except: ["agents-failed"] }),
  ];
  const digest = renderDigest([run(1, "web1")], 0);
  const messages = digestMessages(digest, channels, { atMs: NOW_MS, newId: () => "1" });
  assert.deepEqual(
    messages.map(({ channel }) => channel),
    ["all"],
  );
});
