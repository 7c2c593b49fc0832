// The dashboard's advice beside the words that status really says and the page that it quotes.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
  answer,
  edge,
  judge,
  local,
  row,
  silent,
  three,
} from "../../src/cluster/testing/status.ts";
import { adviceOn, parseAlerts, partsOf } from "../src/advice.ts";

const PAGE = await readFile(join(import.meta.dirname, "../../docs/alerts.md"), "utf8");
const ALERTS = parseAlerts(PAGE);
const DOWN = { state: "down", because: "refused" } as const;
const SEEN = { because: "", commands: 0, oldestMs: 0, deadLetters: 0 };
const COURIER = {
  runs: true,
  because: "",
  couriers: [],
  singleCopies: 0,
  spoolBytes: 0,
  puppetdbs: [],
  receivers: [],
};
const ETCD = local("s1").etcd;
const ca = local("s1").ca ?? assert.fail("no CA");
const LONG_AGO = "2026-11-01T12:00:00.000Z";

for (const [alert, status] of [
  ["UnderstudySilent", judge([answer("s1"), silent("s2"), answer("s3")])],
  [
    "UnderstudyRecordUnreachable",
    judge(three("s1", { record: { reachable: false, because: "x", ageMs: 9 } })),
  ],
  ["UnderstudyRecordUnreachable", judge(three(), { quorum: false, answering: 1 })],
  ["UnderstudyEtcdAlarm", judge(three("s1", { etcd: { ...ETCD, alarms: ["NOSPACE"] } }))],
  ["UnderstudyEtcdNearlyFull", judge(three("s1", { etcd: { ...ETCD, dbSizeBytes: 2 ** 32 } }))],
  ["UnderstudyNoAddress", judge(three("s1", { addresses: [] }))],
  ["UnderstudyEdgeDown", judge(three("s2", { edge: edge({ active: false, because: "x" }) }))],
  [
    "UnderstudyPuppetserverDown",
    judge(
      ["s1", "s2", "s3"].map((id) =>
        answer(id, local(id, { edge: edge({ backends: [row("s1"), row("s2", DOWN)] }) })),
      ),
    ),
  ],
  [
    "UnderstudyDrainForgotten",
    judge(three(), {}, { drains: [{ id: "s3", by: "ops", at: LONG_AGO, reason: "" }] }),
  ],
  ["UnderstudyCaDoesNotSign", judge(three("s1", { ca: { ...ca, serving: false, because: "x" } }))],
  [
    "UnderstudyCourierDown",
    judge(three("s1", { courier: { ...COURIER, runs: false, because: "x" } })),
  ],
  [
    "UnderstudyNoPuppetdbFit",
    judge(three("s1", { courier: { ...COURIER, puppetdbs: [{ ...SEEN, id: "s1", fit: false }] } })),
  ],
  ["UnderstudySingleCopies", judge(three("s1", { courier: { ...COURIER, singleCopies: 2 } }))],
  [
    "UnderstudyDeadLetters",
    judge(
      three("s1", {
        courier: { ...COURIER, puppetdbs: [{ ...SEEN, id: "s1", fit: true, deadLetters: 2 }] },
      }),
    ),
  ],
  ["UnderstudyClockOff", judge(three("s2", { wallMs: Date.parse("2026-11-20T12:05:00Z") }))],
] as const) {
  test(`adviceOn has ${alert} for what status says`, () => {
    const found = status.warnings.map((warning) => adviceOn(warning, ALERTS)?.alert);
    assert.ok(found.includes(alert), `${status.warnings.join("; ")}: ${found.join()}`);
  });
}

test("adviceOn only quotes what is in the handbook, and says nothing of what it doesn't know", () => {
  const named = new Set(ALERTS.keys());
  assert.ok(named.size > 20);
  for (const { means, todo } of ALERTS.values()) assert.ok(means !== "" && todo !== "");
  assert.equal(adviceOn("something new is so", ALERTS), undefined);
});

test("partsOf tells code from words", () => {
  assert.deepEqual(partsOf("type `a b` or `c`"), [
    { text: "type ", code: false },
    { text: "a b", code: true },
    { text: " or ", code: false },
    { text: "c", code: true },
  ]);
});
