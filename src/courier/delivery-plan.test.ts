import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import type { CommandKind } from "./command.ts";
import { judgeAnswer, planDelivery } from "./delivery-plan.ts";
import { Progress } from "./progress.ts";
import type { Entry, Newest } from "./spool.ts";

const KINDS: CommandKind[] = ["catalog", "facts", "inputs", "report", "deactivation"];

function entry(seq: number, kind: CommandKind, certname: string, producerMs = seq): Entry {
  return { seq, head: { id: `${seq}`, takenMs: 0, kind, certname, producerMs, query: "" } };
}

function newestIn(window: readonly Entry[]) {
  return (kind: CommandKind, certname: string): Newest | undefined => {
    const all = window.filter(({ head }) => head.kind === kind && head.certname === certname);
    const newest = all.reduce<Entry | undefined>(
      (best, one) =>
        best === undefined || one.head.producerMs >= best.head.producerMs ? one : best,
      undefined,
    );
    return newest && { seq: newest.seq, producerMs: newest.head.producerMs };
  };
}

interface More {
  busy?: string[];
  free?: number;
  done?: number[];
  deleted?: Record<string, number>;
}

const plan = (window: Entry[], more: More = {}) => {
  const { skip, send } = planDelivery({
    window,
    isDone: (seq) => more.done?.includes(seq) ?? false,
    busy: new Set(more.busy),
    free: more.free ?? 10,
    newestOf: newestIn(window),
    deletedAt: (certname) => more.deleted?.[certname],
  });
  return { skip: skip.map(({ seq }) => seq), send: send.map(({ seq }) => seq) };
};

void test("planDelivery leaves out what is of before a deletion, and sends what is newer after it", () => {
  const window = [
    entry(1, "report", "a", 10),
    entry(2, "deletion", "a", 20),
    entry(3, "facts", "a", 20),
    entry(4, "facts", "a", 21),
    entry(5, "report", "b", 5),
  ];
  assert.deepEqual(plan(window, { deleted: { a: 20 } }), { skip: [1], send: [2, 5] });
  const later = { deleted: { a: 20 }, done: [1, 2] };
  assert.deepEqual(plan(window, later), { skip: [3], send: [4, 5] });
  // Another courier's deletion, which came later than this one's.
  assert.deepEqual(plan(window, { deleted: { a: 30 } }), { skip: [1], send: [2, 5] });
});

void test("planDelivery sends one command of a certname at a time, others beside it", () => {
  const window = [
    entry(1, "facts", "a"),
    entry(2, "catalog", "a"),
    entry(3, "report", "b"),
    entry(4, "report", "c"),
  ];
  assert.deepEqual(plan(window), { skip: [], send: [1, 3, 4] });
  assert.deepEqual(plan(window, { busy: ["a"] }), { skip: [], send: [3, 4] });
  assert.deepEqual(plan(window, { free: 1 }), { skip: [], send: [1] });
  assert.deepEqual(plan(window, { done: [1] }), { skip: [], send: [2, 3, 4] });
});

void test("planDelivery leaves out facts and catalogs that newer ones replace, and no report", () => {
  const window = [
    entry(1, "facts", "a"),
    entry(2, "report", "a"),
    entry(3, "facts", "a"),
    entry(4, "report", "b"),
    entry(5, "report", "b"),
  ];
  assert.deepEqual(plan(window), { skip: [1], send: [2, 4] });
  const late = [entry(1, "facts", "a", 10), entry(2, "facts", "a", 5)];
  assert.deepEqual(plan(late), { skip: [], send: [1] }, "what came later may be older");
});

void test("planDelivery ends with every command done or replaced, in order for each certname", () => {
  const commands = fc.array(
    fc.record({
      kind: fc.constantFrom(...KINDS),
      certname: fc.constantFrom("a", "b", "c"),
      producerMs: fc.nat(10),
    }),
    { maxLength: 30 },
  );
  fc.assert(
    fc.property(commands, fc.nat(3), (list, extra) => {
      const window = list.map(({ kind, certname, producerMs }, index) =>
        entry(index + 1, kind, certname, producerMs),
      );
      const newestOf = newestIn(window);
      const progress = new Progress();
      const sent: Entry[] = [];
      for (let round = 0; round <= window.length; round += 1) {
        const isDone = (seq: number) => progress.isDone(seq);
        const now = { window, isDone, busy: new Set<string>(), free: 1 + extra, newestOf };
        const next = planDelivery({ ...now, deletedAt: () => undefined });
        for (const { seq } of [...next.skip, ...next.send]) progress.finish(seq);
        const names = next.send.map(({ head }) => head.certname);
        assert.equal(new Set(names).size, names.length);
        sent.push(...next.send);
      }
      assert.equal(progress.upTo, window.length);
      for (const one of window) {
        if (sent.includes(one)) continue;
        const { kind, certname, producerMs } = one.head;
        const newer = sent.find(
          ({ head }) =>
            head.kind === kind && head.certname === certname && head.producerMs >= producerMs,
        );
        assert.ok(newer !== undefined, "only what a newer one replaces is left out");
      }
      for (const name of ["a", "b", "c"]) {
        const order = sent.filter(({ head }) => head.certname === name).map(({ seq }) => seq);
        assert.deepEqual(
          order,
          order.toSorted((a, b) => a - b),
        );
      }
    }),
  );
});

void test("judgeAnswer tells a PuppetDB that is down from a command that it can't store", () => {
  const processed = '{"uuid":"x","processed":true,"timed_out":false,"error":"e"}';
  const timedOut = '{"uuid":"x","processed":false,"timed_out":true}';
  const cases: [number, string, number, string][] = [
    [200, '{"uuid":"x"}', 1, "done"],
    [0, "connection refused", 1, "later"],
    [503, "PuppetDB is currently down. Try again later.", 99, "later"],
    [403, "Permission denied", 99, "later"],
    [400, "bad", 1, "dead"],
    [413, "too large", 1, "dead"],
    [503, processed, 1, "again"],
    [503, processed, 8, "dead"],
    [503, timedOut, 1, "again"],
    [503, timedOut, 8, "dead"],
    [500, "boom", 1, "again"],
    [502, "bad gateway", 8, "dead"],
  ];
  for (const [status, body, tries, is] of cases) {
    assert.equal(judgeAnswer({ status, body }, tries).is, is, `${status} ${body} ${tries}`);
  }
});
