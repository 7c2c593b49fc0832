import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type CourierStatus,
  courierWarnings,
  renderPuppetdb,
  silentCourier,
  sumPuppetdbs,
  sumReceivers,
} from "./courier-status.ts";
import { answer, local } from "./testing/status.ts";
import { textsOf } from "./warning.ts";

type Sight = CourierStatus["puppetdbs"][number];

function sight(id: string, more: Partial<Sight> = {}): Sight {
  return { id, fit: true, because: "", commands: 0, oldestMs: 0, deadLetters: 0, ...more };
}

function courier(more: Partial<CourierStatus> = {}): CourierStatus {
  const puppetdbs = [sight("s1"), sight("s2")];
  return { ...silentCourier(""), runs: true, queries: "s1", puppetdbs, ...more };
}

function member(id: string, status: CourierStatus) {
  return answer(id, local(id, { courier: status }), { courier: true });
}

const BEHIND = sight("s2", {
  fit: false,
  because: "it lacks 3 commands still",
  commands: 3,
  oldestMs: 90_000,
});

test("sumPuppetdbs adds up what every courier has for a PuppetDB, fit only where all find it so", () => {
  const members = [
    member("s1", courier({ puppetdbs: [sight("s1"), BEHIND] })),
    member("s2", courier({ puppetdbs: [sight("s1"), { ...BEHIND, commands: 2 }], queries: "s1" })),
    member("s3", silentCourier("refused")),
    answer("c1"),
  ];
  const [first, second] = sumPuppetdbs(members);
  assert.deepEqual([first?.id, first?.fit, first?.usedBy], ["s1", true, ["s1", "s2"]]);
  assert.deepEqual([second?.commands, second?.fit, second?.usedBy], [5, false, []]);
  assert.equal(second && renderPuppetdb(second), "not fit, 5 wait for 1m 30s");
  assert.equal(first && renderPuppetdb(first), "fit");
  assert.deepEqual(textsOf(courierWarnings(members)), [
    "s3's courier doesn't run: refused",
    "s2's PuppetDB answers no queries: it lacks 3 commands still",
  ]);
});

test("courierWarnings tell of one copy and of refused commands, and of nothing where all is well", () => {
  assert.deepEqual(textsOf(courierWarnings([member("s1", courier()), answer("s2")])), []);
  const dead = sight("s1", { deadLetters: 1 });
  const members = [member("s1", courier({ singleCopies: 2, puppetdbs: [dead] }))];
  assert.deepEqual(textsOf(courierWarnings(members)), [
    "s1's courier has 2 commands with 1 copy: no other courier has taken one.",
    "s1's PuppetDB refused 1 command for good: understudy puppetdb dead list, on each server.",
  ]);
  const round = { id: "x", by: "timer", startedAt: "", endedAt: "", moved: {}, left: 0 } as const;
  const last = { ...round, ok: false, because: "s2: no answer", leftAlone: [], others: [] };
  const sync = { standing: "level", because: "", last } as const;
  assert.deepEqual(textsOf(courierWarnings([member("s1", courier({ sync }))])), [
    "s1's PuppetDB isn't brought level with the others: s2: no answer",
  ]);
});

test("sumReceivers adds up what every courier has for a receiver, and a silent one is told of", () => {
  const well = { name: "a", url: "https://a.test/", because: "", reports: 1, oldestMs: 9 };
  const down = { ...well, because: "it answers 502", reports: 2, oldestMs: 90, deadLetters: 1 };
  const first = { ...well, deadLetters: 0 };
  const other = { ...first, name: "b" };
  const members = [
    member("s1", courier({ receivers: [other, first] })),
    member("s2", courier({ receivers: [down] })),
    member("s3", silentCourier("refused")),
  ];
  assert.deepEqual(sumReceivers(members), [{ ...down, reports: 3 }, other]);
  assert.deepEqual(textsOf(courierWarnings(members)).slice(1), [
    "a lacks 3 reports: it answers 502",
    "a refused 1 report for good: see /usr/share/doc/understudy/reports.md.",
  ]);
});
