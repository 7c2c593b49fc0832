import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { shareWatch } from "./shared-watch.ts";
import type { Etcd, WatchEvent, WatchOptions } from "./types.ts";

const REVISIONS = 12;

/** etcd's side: one event for each revision, told to every open watch as far as the test wants. */
function createHistory() {
  const open: { options: WatchOptions; next: number }[] = [];
  const events = Array.from({ length: REVISIONS }, (_, index): WatchEvent => {
    const revision = index + 1;
    const key = revision % 3 === 0 ? "p/other/k" : "p/ca/k";
    const numbers = { createRevision: revision, modRevision: revision, version: 1 };
    return { type: "put", kv: { key, value: String(revision), lease: "0", ...numbers } };
  });
  const end = (watch: (typeof open)[number]) => {
    const at = open.indexOf(watch);
    if (at >= 0) open.splice(at, 1);
  };
  const watch: Etcd["watch"] = (prefix, options) => {
    assert.equal(prefix, "p/");
    const one = { options, next: options.fromRevision };
    open.push(one);
    options.signal.addEventListener("abort", () => end(one), { once: true });
  };
  return {
    watch,
    open,
    /** Tells the open watch `which` of its next `count` events; nothing where there are none. */
    deliver(which: number, count: number) {
      const one = open[which % Math.max(1, open.length)];
      const some = one === undefined ? [] : events.slice(one.next - 1, one.next - 1 + count);
      const revision = some.at(-1)?.kv.modRevision;
      if (one === undefined || revision === undefined) return;
      one.next = revision + 1;
      one.options.onEvents(some, revision);
    },
    lose(which: number, compacted: boolean) {
      const one = open[which % Math.max(1, open.length)];
      if (one === undefined) return;
      end(one);
      one.options.onLost("it was cut", compacted);
    },
  };
}

/** Hears of events, and goes on where it was when its watch is lost, as followers do. */
class Listener {
  readonly heard: string[] = [];
  readonly stop = new AbortController();
  readonly first: number;
  readonly prefix: string;
  readonly #watch: Etcd["watch"];
  #next: number;

  constructor(watch: Etcd["watch"], prefix: string, first: number) {
    this.#watch = watch;
    this.prefix = prefix;
    this.first = first;
    this.#next = first;
    this.#listen();
  }

  #listen(): void {
    this.#watch(this.prefix, {
      fromRevision: this.#next,
      signal: this.stop.signal,
      onEvents: (events, revision) => {
        this.heard.push(...events.map(({ kv }) => kv.value));
        this.#next = revision + 1;
      },
      onLost: () => this.#listen(),
    });
  }
}

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("listen" as const), from: fc.nat(), ca: fc.boolean() }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("deliver" as const),
      which: fc.nat(9),
      count: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose" as const), which: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("leave" as const), which: fc.nat(9) }) },
);

test("shareWatch tells each follower every event from its revision on, once and in order", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const history = createHistory();
      const watch = shareWatch(history.watch, "p/");
      const listeners: Listener[] = [];
      for (const one of steps) {
        if (one.do === "deliver") history.deliver(one.which, one.count);
        if (one.do === "lose") history.lose(one.which, false);
        if (one.do === "leave") listeners[one.which % Math.max(1, listeners.length)]?.stop.abort();
        if (one.do !== "listen") continue;
        const prefix = one.ca ? "p/ca/" : "p/";
        listeners.push(new Listener(watch, prefix, 1 + (one.from % REVISIONS)));
      }
      while (history.open.some(({ next }) => next <= REVISIONS)) {
        for (let which = 0; which < history.open.length; which += 1) history.deliver(which, 1);
      }
      for (const { heard, first, prefix, stop } of listeners) {
        const all = Array.from({ length: REVISIONS }, (_, index) => index + 1);
        const due = all.filter((n) => n >= first && (prefix === "p/" || n % 3 !== 0)).map(String);
        assert.deepEqual(heard, stop.signal.aborted ? due.slice(0, heard.length) : due);
      }
      const followed = listeners.some(({ stop }) => !stop.signal.aborted);
      if (!followed) assert.equal(history.open.length, 0);
    }),
  );
});

test("shareWatch closes the older of two watches when both have told of the same revision", () => {
  const history = createHistory();
  const watch = shareWatch(history.watch, "p/");
  const old = new Listener(watch, "p/", 1);
  history.deliver(0, 5);
  const late = new Listener(watch, "p/ca/", 4);
  history.deliver(1, 1);
  assert.equal(history.open.length, 2, "one is behind");
  history.deliver(1, 1);
  assert.equal(history.open.length, 1);
  history.deliver(0, 3);
  assert.deepEqual(old.heard, ["1", "2", "3", "4", "5", "6", "7", "8"]);
  assert.deepEqual(late.heard, ["4", "5", "7", "8"]);
  old.stop.abort();
  assert.equal(history.open.length, 1);
  late.stop.abort();
  assert.equal(history.open.length, 0);
});

test("shareWatch says that history is gone only to who asked for it", () => {
  const history = createHistory();
  const watch = shareWatch(history.watch, "p/");
  const lost: string[] = [];
  const follow = (name: string, fromRevision: number) =>
    watch("p/", {
      fromRevision,
      signal: new AbortController().signal,
      onEvents: () => undefined,
      onLost: (_, compacted) => lost.push(`${name} ${compacted}`),
    });
  follow("far", 6);
  history.deliver(0, 1);
  follow("new", 6);
  history.lose(1, true);
  assert.deepEqual(lost, ["new true"]);
  follow("third", 6);
  history.deliver(1, 1);
  history.lose(0, true);
  assert.deepEqual(lost.toSorted(), ["far false", "new true", "third false"]);
});
