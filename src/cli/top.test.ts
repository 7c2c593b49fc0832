import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { entryOf } from "../cluster/history/entry.ts";
import { judge, NOW_MS, three } from "../cluster/testing/status.ts";
import type { Screen } from "./screen.ts";
import { watch } from "./top.ts";

/** A terminal of 120 columns, and what is typed and drawn there. */
function terminal() {
  const drawn: string[] = [];
  let typed: (name: string) => void = () => {};
  let closed = false;
  const open = (on: { key: (name: string) => void }): Screen => {
    typed = on.key;
    return {
      size: () => ({ columns: 120, rows: 40 }),
      draw: (lines) => drawn.push(lines.join("\n")),
      close: () => (closed = true),
    };
  };
  return { open, drawn, type: (name: string) => typed(name), isClosed: () => closed };
}

/** What a daemon that hangs is to whoever asks it. */
const hang = async (signal?: AbortSignal) =>
  new Promise<never>((_, reject) => {
    signal?.addEventListener("abort", () => reject(new Error("given up")));
  });

const BOUND = { timeout: 30_000 };

test("top ends at once by its keys, also while the daemon hangs", BOUND, async () => {
  for (const key of ["q", "ctrl-c"]) {
    const { open, type, isClosed, drawn } = terminal();
    const ended = watch(1000, open, { status: hang, history: hang });
    type(key);
    await ended;
    assert.ok(isClosed());
    assert.ok(!drawn.join("").includes("given up"));
  }
});

test("top puts the terminal back when it is told to end", BOUND, async () => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    const { open, isClosed } = terminal();
    const ended = watch(1000, open, { status: hang, history: hang });
    process.emit(signal);
    await ended;
    assert.ok(isClosed(), signal);
  }
});

test("top shows what is so, what went wrong, and what is so again", BOUND, async () => {
  const { open, type, drawn } = terminal();
  let fails = false;
  const ended = watch(10, open, {
    async status() {
      if (fails) throw new Error("nobody there");
      return judge(three());
    },
    // The record takes its time where etcd has no quorum: nothing else waits for that.
    history: hang,
  });
  const shows = async (text: string) =>
    until(text, () => drawn.at(-1)?.includes(text), { withinMs: 10_000, everyMs: 5 });
  await shows("Every promise holds");
  fails = true;
  await shows("nobody there");
  fails = false;
  await shows("Every promise holds");
  type("escape");
  await ended;
});

test("top shows what happened last as soon as that is read", BOUND, async () => {
  const { open, type, drawn } = terminal();
  const entry = entryOf(
    { kind: "member", what: "s3 joins", atMs: NOW_MS },
    { member: "s1", number: 1 },
  );
  const ended = watch(3_600_000, open, {
    status: async () => judge(three()),
    history: async () => ({ entries: [entry], more: 0, because: "" }),
  });
  await until("the event", () => drawn.at(-1)?.includes("s3 joins"), { withinMs: 10_000 });
  type("q");
  await ended;
});
