import assert from "node:assert/strict";
import { test } from "node:test";
import { createActs } from "../base/acts.ts";
import { Fault } from "../base/fault.ts";
import { entryOf, type HistoryEntry } from "../cluster/history/entry.ts";
import { EVIDENCE_MAX, EvidenceWish } from "../cluster/history/evidence.ts";
import { LINES_MAX } from "../cluster/history/incident.ts";
import { isWanted } from "../cluster/history/shared.ts";
import type { Peers } from "../cluster/peer.ts";
import { judge, silent, three } from "../cluster/testing/status.ts";
import { wallMs } from "../host/clock.ts";
import type { History } from "./history.ts";
import { createInquiry } from "./inquiry.ts";

const HOUR_MS = 3_600_000;
const told = (member: string, what: string, atMs: number) =>
  entryOf({ kind: "member", what, atMs }, { member, number: 1 });

/** s1 asks; s2's clock is `offsetMs` ahead, s3 is dead. */
function setUp(entries: Record<string, HistoryEntry[]>, offsetMs = 0) {
  const evidence = (member: string, clockMs: number, wish: EvidenceWish) => {
    const all = (entries[member] ?? []).filter((entry) => isWanted(entry, wish));
    const newest = all.slice(-EVIDENCE_MAX);
    const leftOut = all.length - newest.length;
    return { member, wallMs: clockMs, leftOut, acts: [], entries: newest };
  };
  const [s1, s2] = three();
  const status = judge([...[s1, s2].flatMap((each) => each ?? []), silent("s3")]);
  const members = status.members.map(({ member }, index) => {
    return { ...member, address: `10.0.0.${index + 1}` };
  });
  const call: Peers["call"] = async (address, path, { answer }) => {
    if (address === "10.0.0.3") throw new Fault("peer.unreachable", "no answer in time");
    const query = Object.fromEntries(new URL(path, "http://s2.test").searchParams);
    return answer.parse(evidence("s2", wallMs() + offsetMs, EvidenceWish.parse(query)));
  };
  const history: Pick<History, "evidence" | "read"> = {
    evidence: (wish) => evidence("s1", wallMs(), wish),
    read: async (query) => {
      const all = (entries["record"] ?? []).filter((entry) => isWanted(entry, query));
      return { entries: all, more: 0, because: "" };
    },
  };
  return createInquiry({
    node: { id: "s1" },
    keeper: { current: () => ({ members }) as never },
    peers: { call, close: () => undefined },
    history: history as History,
    acts: createActs(wallMs),
    status: async () => status,
  });
}

test("incident asks all members at once, and names who couldn't be asked", async () => {
  const nowMs = wallMs();
  const inquiry = setUp({
    s1: [told("s1", "one", nowMs - 2000)],
    s2: [told("s2", "two", nowMs - 1000)],
    record: [told("s3", "three", nowMs - 500), told("s1", "one", nowMs - 2000)],
  });
  const incident = await inquiry.incident({ sinceMs: nowMs - HOUR_MS, limit: LINES_MAX });
  assert.deepEqual(
    incident.lines.map(({ what, uncorrected }) => [what, uncorrected]),
    [
      ["one", false],
      ["two", false],
      ["three", true],
    ],
  );
  assert.deepEqual(incident.missing, [{ member: "s3", because: "no answer in time" }]);
  assert.deepEqual(
    incident.members.map(({ member }) => member),
    ["s1", "s2"],
  );
});

test("incident corrects a clock that is off", async () => {
  const nowMs = wallMs();
  const inquiry = setUp(
    { s1: [told("s1", "later", nowMs - 1000)], s2: [told("s2", "sooner", nowMs + 600_000 - 5000)] },
    600_000,
  );
  const { lines, members } = await inquiry.incident({ sinceMs: nowMs - HOUR_MS, limit: LINES_MAX });
  assert.deepEqual(
    lines.map(({ what }) => what),
    ["sooner", "later"],
  );
  const [own, other] = members.map(({ offsetMs }) => offsetMs);
  assert.ok(Math.abs((other ?? 0) - (own ?? 0) - 600_000) < 5000);
});

for (const hours of [-30, 5]) {
  test(`incident has what a member tells whose clock is ${hours} h off, and nothing else`, async () => {
    const [untilMs, offsetMs] = [wallMs() - 12 * HOUR_MS, hours * HOUR_MS];
    const then = told("s2", "then", untilMs - HOUR_MS + offsetMs);
    const inquiry = setUp(
      { s2: [then, told("s2", "since", untilMs + HOUR_MS + offsetMs)] },
      offsetMs,
    );
    const wish = { sinceMs: untilMs - 2 * HOUR_MS, untilMs, limit: LINES_MAX };
    const { lines } = await inquiry.incident(wish);
    assert.deepEqual(
      lines.map(({ what }) => what),
      ["then"],
    );
  });
}

test("incident of a time that is over has what was then, however much has happened since", async () => {
  const untilMs = wallMs() - 48 * HOUR_MS;
  const then = (member: string) => told(member, `${member} then`, untilMs - HOUR_MS);
  const since = (member: string) =>
    Array.from({ length: EVIDENCE_MAX + 1 }, (_, n) => {
      return { ...told(member, `${member} ${n}`, untilMs + 2 * HOUR_MS + n), number: n + 2 };
    });
  const inquiry = setUp({ s1: [then("s1"), ...since("s1")], s2: [then("s2"), ...since("s2")] });
  const wish = { sinceMs: untilMs - 24 * HOUR_MS, untilMs };
  const incident = await inquiry.incident({ ...wish, limit: LINES_MAX });
  assert.deepEqual(incident.lines.map(({ what }) => what).toSorted(), ["s1 then", "s2 then"]);
  assert.deepEqual(
    incident.members.map(({ leftOut }) => leftOut),
    [0, 0],
  );
  const one = await inquiry.incident({ ...wish, limit: 1 });
  assert.deepEqual([one.lines.length, one.more], [1, 1]);
});

test("why explains without etcd, and says whom it couldn't ask", async () => {
  const explanation = await setUp({}).why("s3");
  assert.match(explanation.verdict, /^s3's daemon can't be asked/);
  assert.deepEqual(
    explanation.missing.map(({ member }) => member),
    ["s3"],
  );
});
