import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { AlertChannel } from "../cluster/schema.ts";
import {
  CHANGES_MAX,
  channelWarnings,
  CLAIM_MS,
  claimed,
  dueMessages,
  emptyMessage,
  enqueue,
  GIVE_UP_MS,
  messagesOf,
  settled,
  WAITING_MAX,
  wants,
} from "./outbox.ts";
import { type AlertChange, type AlertState, NO_ALERTS } from "./state.ts";

const NOW_MS = 1_800_000_000_000;
const OPS = AlertChannel.parse({ name: "ops", type: "json" });
const PAGER = AlertChannel.parse({ name: "pager", type: "json", minSeverity: "critical" });

function change(kind: string, more: Partial<AlertChange> = {}): AlertChange {
  const of = { change: "raised", severity: "warning" as const, text: kind, sinceMs: NOW_MS };
  return { ...of, kind, ...more };
}

/** An outbox with these messages' ids for `ops`. */
function outboxOf(...ids: string[]): AlertState {
  const messages = ids.map((id) => emptyMessage("ops", id, NOW_MS));
  return enqueue(NO_ALERTS, messages, [OPS, PAGER]);
}

const WANTS: [string, Partial<AlertChannel>, AlertChange, boolean][] = [
  ["everything by default", {}, change("etcd-full"), true],
  ["a worse one", { minSeverity: "critical" }, change("x", { severity: "critical" }), true],
  ["not what isn't bad enough", { minSeverity: "critical" }, change("etcd-full"), false],
  ["a kind by its name", { kinds: ["etcd-full"] }, change("etcd-full"), true],
  ["kinds by how they begin", { kinds: ["etcd"] }, change("etcd-full"), true],
  ["no other kind", { kinds: ["etcd"] }, change("etcdish-full"), false],
  ["not what is left out", { kinds: ["etcd"], except: ["etcd-full"] }, change("etcd-full"), false],
  ["nothing of its own silence", {}, change("alerts-channel", { subject: "ops" }), false],
  ["of another's silence", {}, change("alerts-channel", { subject: "pager" }), true],
];
for (const [what, more, given, expected] of WANTS) {
  test(`a channel wants ${what}`, () => {
    assert.equal(wants({ ...OPS, ...more }, given), expected);
  });
}

test("messagesOf makes one message a channel, the worst first, and counts what is too much", () => {
  let ids = 0;
  const how = { atMs: NOW_MS, newId: () => String((ids += 1)) };
  const bad = change("edge-down", { severity: "critical" });
  const many = Array.from({ length: CHANGES_MAX + 5 }, (_, n) =>
    change("etcd-full", { subject: `m${n}` }),
  );
  const [ops, pager, ...others] = messagesOf([...many, bad], [OPS, PAGER], how);
  assert.deepEqual(others, []);
  assert.equal(ops?.changes[0]?.kind, "edge-down");
  assert.equal(ops?.changes.length, CHANGES_MAX);
  assert.equal(ops?.more, 6);
  assert.deepEqual(pager?.changes, [bad]);
  assert.deepEqual(messagesOf([change("etcd-full")], [PAGER], how), []);
});

test("enqueue keeps so many for each channel, counts those that went, and forgets channels", () => {
  const ids = Array.from({ length: WAITING_MAX + 3 }, (_, n) => String(n));
  const state = outboxOf(...ids);
  assert.equal(state.outbox.length, WAITING_MAX);
  assert.equal(state.outbox[0]?.id, "3", "the oldest go");
  assert.equal(state.channels["ops"]?.dropped, 3);
  assert.deepEqual(enqueue(state, [], [PAGER]), { ...NO_ALERTS });
});

test("enqueue keeps the whole outbox small enough for one value of the record", () => {
  const channels = Array.from({ length: 16 }, (_, n) => ({ ...OPS, name: `c${n}` }));
  let state = NO_ALERTS;
  for (let round = 0; round < WAITING_MAX; round += 1) {
    const changes = Array.from({ length: CHANGES_MAX }, () =>
      change("x", { text: "y".repeat(600) }),
    );
    const more = channels.map(({ name }) => ({
      ...emptyMessage(name, `${name} ${round}`, NOW_MS),
      changes,
    }));
    state = enqueue(state, more, channels);
  }
  assert.ok(JSON.stringify(state).length < 420_000);
  assert.ok(
    state.outbox.some(({ id }) => id === `c0 ${WAITING_MAX - 1}`),
    "the newest stay",
  );
  assert.ok((state.channels["c0"]?.dropped ?? 0) > 0);
});

test("dueMessages gives one message a channel, in order, and none that another sends", () => {
  const state = outboxOf("1", "2");
  assert.deepEqual(
    dueMessages(state, "s1", NOW_MS).map(({ id }) => id),
    ["1"],
  );
  const busy = claimed(state, new Set(["1", "2"]), "s1", NOW_MS);
  assert.deepEqual(dueMessages(busy, "s2", NOW_MS + CLAIM_MS - 1), []);
  assert.deepEqual(
    dueMessages(busy, "s2", NOW_MS + CLAIM_MS).map(({ id }) => id),
    ["1"],
  );
});

test("dueMessages believes no time that whoever wrote it had from a wrong clock", () => {
  const DAY_MS = 86_400_000;
  const due = (more: object) => {
    const [message] = outboxOf("1").outbox;
    return dueMessages({ ...NO_ALERTS, outbox: [{ ...message!, ...more }] }, "s2", NOW_MS).length;
  };
  assert.equal(due({ nextMs: NOW_MS + 60_000 }), 0);
  assert.equal(due({ nextMs: NOW_MS + DAY_MS }), 1);
  assert.equal(due({ claim: { by: "s1", untilMs: NOW_MS + CLAIM_MS } }), 0);
  assert.equal(due({ claim: { by: "s1", untilMs: NOW_MS + DAY_MS } }), 1);
});

test("settled tries again later and later, gives up after a day, and says which channel is dead", () => {
  const failed = { id: "1", channel: "ops", ok: false, because: "refused" };
  let state = outboxOf("1", "2");
  let atMs = NOW_MS;
  const waits: number[] = [];
  while (state.outbox[0]?.id === "1") {
    state = settled(state, failed, atMs);
    const [first] = state.outbox;
    if (first?.id !== "1") break;
    waits.push(first.nextMs - atMs);
    assert.deepEqual(dueMessages(state, "s1", first.nextMs - 1), [], "and the next one waits too");
    atMs = first.nextMs;
  }
  assert.deepEqual(waits.slice(0, 3), [30_000, 60_000, 120_000]);
  assert.ok(atMs - NOW_MS >= GIVE_UP_MS);
  const [told] = channelWarnings(state);
  assert.equal(told?.subject, "ops");
  assert.match(told?.text ?? "", /^alerts don't reach ops \(1 messages were given up\): refused$/);
  state = settled(state, { ...failed, id: "2", ok: true }, atMs);
  assert.deepEqual(channelWarnings(state), []);
  assert.deepEqual(state.outbox, []);
});

test("settled lets others pass one that is refused for what it is, and tries that again all the same", () => {
  const refused = { channel: "ops", ok: false, because: "too large", refused: "itself" } as const;
  const state = settled(outboxOf("1", "2", "3"), { ...refused, id: "1" }, NOW_MS);
  assert.deepEqual(
    dueMessages(state, "s1", NOW_MS).map(({ id }) => id),
    ["2"],
  );
  assert.equal(state.channels["ops"]?.failures, 1);
  let later = settled(state, { id: "2", channel: "ops", ok: true, because: "" }, NOW_MS);
  later = settled(later, { id: "3", channel: "ops", ok: true, because: "" }, NOW_MS);
  assert.deepEqual(dueMessages(later, "s1", NOW_MS), []);
  const [again] = dueMessages(later, "s1", NOW_MS + 30_000);
  assert.deepEqual([again?.id, again?.tries], ["1", 1]);
});

test("settled: what is refused for what it is holds up nothing that comes while it waits", () => {
  const refused = { channel: "ops", ok: false, because: "too large", refused: "itself" } as const;
  const waits = settled(outboxOf("1"), { ...refused, id: "1" }, NOW_MS);
  const state = enqueue(waits, [emptyMessage("ops", "2", NOW_MS + 1000)], [OPS]);
  const due = (of: AlertState, nowMs: number) => dueMessages(of, "s1", nowMs).map(({ id }) => id);
  assert.deepEqual(due(state, NOW_MS + 1000), ["2"]);
  const later = settled(state, { id: "2", channel: "ops", ok: true, because: "" }, NOW_MS + 1000);
  assert.deepEqual(due(later, NOW_MS + 30_000), ["1"]);
  // Where nothing is taken at all, what comes waits in its turn.
  const silent = settled(
    outboxOf("1"),
    { id: "1", channel: "ops", ok: false, because: "" },
    NOW_MS,
  );
  const more = enqueue(silent, [emptyMessage("ops", "2", NOW_MS + 1000)], [OPS]);
  assert.deepEqual(due(more, NOW_MS + 1000), []);
});

test("settled sends nobody twice what only some didn't take, and says so", () => {
  const attempt = { channel: "ops", ok: false, because: "not for a@b", refused: "partly" } as const;
  let state = outboxOf("1", "2", "3");
  for (const id of ["1", "2", "3"]) state = settled(state, { ...attempt, id }, NOW_MS);
  assert.deepEqual(state.outbox, []);
  assert.equal(state.channels["ops"]?.dropped, 0);
  assert.match(channelWarnings(state)[0]?.text ?? "", /^alerts don't reach ops: not for a@b$/);
});

// Senders die before they send, after, or after they have said so, and others go on.
const turn = fc.record({
  who: fc.constantFrom("s1", "s2", "s3"),
  dies: fc.constantFrom("no", "no", "claimed", "sent"),
  taken: fc.boolean(),
  afterMs: fc.integer({ min: 0, max: CLAIM_MS * 2 }),
});

test("every message is sent, and twice only where its sender died before it could say so", () => {
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
      let state = outboxOf("a", "b", "c");
      const sent = new Map<string, number>();
      const unsaid = new Map<string, number>();
      let nowMs = NOW_MS;
      const act = ({ who, dies, taken, afterMs }: (typeof turns)[number]) => {
        nowMs += afterMs;
        const ids = new Set(dueMessages(state, who, nowMs).map(({ id }) => id));
        state = claimed(state, ids, who, nowMs);
        if (dies === "claimed") return;
        for (const { id, channel, claim } of state.outbox) {
          if (!ids.has(id) || claim?.by !== who) continue;
          if (taken) sent.set(id, (sent.get(id) ?? 0) + 1);
          if (dies === "sent") {
            if (taken) unsaid.set(id, (unsaid.get(id) ?? 0) + 1);
            continue;
          }
          state = settled(state, { id, channel, ok: taken, because: "" }, nowMs);
        }
      };
      for (const each of turns) act(each);
      for (let times = 0; times < 10 && state.outbox.length > 0; times += 1) {
        act({ who: "s1", dies: "no", taken: true, afterMs: 1_800_000 });
      }
      assert.deepEqual(state.outbox, []);
      for (const id of ["a", "b", "c"]) {
        assert.equal(sent.get(id), 1 + (unsaid.get(id) ?? 0), id);
      }
    }),
    { numRuns: 300 },
  );
});
