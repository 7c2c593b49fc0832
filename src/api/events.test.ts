// The stream of events on a real port: what comes, to whom it ends, and readers that don't read.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Fault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { judge, three } from "../cluster/testing/status.ts";
import { createEvents, type EventSources, renderEvent, type Snapshot } from "./events.ts";
import { createTestCommands } from "./testing/commands.ts";
import { type Opened, startTestPeople } from "./testing/people.ts";

const WAIT = { withinMs: 10_000, everyMs: 10 };
const LOOK_MS = 20;
const ENTRY = { atMs: 1, member: "s1", number: 1, kind: "daemon", because: "", by: "" };

/** The people's API over events that look often. */
async function start(t: TestContext, more: Partial<EventSources> = {}) {
  let looks = 0;
  const events = createEvents({
    cluster: async () => ({ ...judge(three()), answeredBy: `look ${(looks += 1)}` }),
    history: async () => ({ entries: [], more: 0, because: "" }),
    lookMs: LOOK_MS,
    ...more,
  });
  const commands = { ...createTestCommands().commands, events };
  const people = await startTestPeople({ commands });
  t.after(async () => people.close());
  return { people, events, looks: () => looks };
}

/** The events that have come, by name. */
function eventsIn({ text }: Opened, name: string): unknown[] {
  const found = text().matchAll(/event: (\w+)\ndata: (.*)\n\n/g);
  return [...found].flatMap(([, kind, data = ""]) => (kind === name ? [JSON.parse(data)] : []));
}

test("GET /v1/events sends looks and the history as they change, and looks only while somebody watches", async (t) => {
  const entries = [{ ...ENTRY, what: "one" }];
  let reads = 0;
  const history = async () => {
    reads += 1;
    return { entries: [...entries], more: 0, because: "" };
  };
  const { people, events, looks } = await start(t, { history });
  assert.equal(looks(), 0);
  const stream = await people.open("/v1/events", { token: people.tokens.viewer });
  assert.equal(stream.status, 200);
  assert.match(String(stream.headers["content-type"]), /^text\/event-stream/);
  assert.match(String(stream.headers["cache-control"]), /no-store/);
  await until("three looks", () => eventsIn(stream, "snapshot").length >= 3, WAIT);
  const [first] = eventsIn(stream, "snapshot") as Snapshot[];
  assert.equal(first?.status.answeredBy, "look 1");
  assert.equal(first?.puppetservers.length, 3);
  await until("the history was read again", () => reads >= 3, WAIT);
  assert.equal(eventsIn(stream, "history").length, 1, "what stays the same isn't sent again");
  entries.push({ ...ENTRY, number: 2, what: "two\n\nevent: snapshot\ndata: {}" });
  await until("the new entry", () => eventsIn(stream, "history").length === 2, WAIT);
  const second = await people.open("/v1/events", { token: people.tokens.admin });
  await until("the beginning", () => eventsIn(second, "history").length === 1, WAIT);
  stream.close();
  second.close();
  await until("nobody watches", () => events.size() === 0, WAIT);
  let before = -1;
  await until("no more looks", () => before === (before = looks()), { ...WAIT, everyMs: 100 });
});

test("GET /v1/events tells each time why there is no look: a page sees by it that the member is there", async (t) => {
  const cluster = async () => {
    throw new Fault("cluster.no-view", "nothing was read yet");
  };
  const { people } = await start(t, { cluster });
  const stream = await people.open("/v1/events", { token: people.tokens.viewer });
  await until("it goes on", () => eventsIn(stream, "trouble").length >= 3, WAIT);
  const told = { code: "cluster.no-view", message: "nothing was read yet" };
  for (const each of eventsIn(stream, "trouble")) assert.deepEqual(each, told);
  stream.close();
});

test("GET /v1/events tells of a trouble that comes again, and begins with what is so now", async (t) => {
  let broken = true;
  const cluster = async () => {
    if (broken) throw new Fault("cluster.no-view", "nothing was read yet");
    return judge(three());
  };
  const { people } = await start(t, { cluster });
  const { viewer } = people.tokens;
  const first = await people.open("/v1/events", { token: viewer });
  for (const name of ["trouble", "snapshot", "trouble", "snapshot"]) {
    broken = name === "trouble";
    const seen = first.text().length;
    const isTold = () => first.text().slice(seen).includes(`event: ${name}\n`);
    await until(`the ${name} is told`, isTold, WAIT);
    const late = await people.open("/v1/events", { token: viewer });
    await until("it begins", () => /^data: /m.test(late.text()), WAIT);
    assert.match(late.text(), new RegExp(`^retry: .*\n\nevent: ${name}\n`), name);
    late.close();
  }
  first.close();
});

test("GET /v1/events begins with nothing where the last look is of before somebody watched", async (t) => {
  let hang = false;
  let hangs = false;
  const cluster = async () => {
    await until("it may answer", () => !(hangs = hang), WAIT);
    return judge(three());
  };
  const { people, events } = await start(t, { cluster });
  const { viewer } = people.tokens;
  const first = await people.open("/v1/events", { token: viewer });
  await until("a look", () => eventsIn(first, "snapshot").length > 0, WAIT);
  hang = true;
  await until("a look hangs", () => hangs, WAIT);
  first.close();
  await until("nobody watches", () => events.size() === 0, WAIT);
  const later = await people.open("/v1/events", { token: viewer });
  await until("it begins", () => later.text() !== "", WAIT);
  assert.doesNotMatch(later.text(), /snapshot/);
  hang = false;
  await until("the look", () => eventsIn(later, "snapshot").length > 0, WAIT);
  later.close();
});

test("HEAD /v1/events opens no stream", async (t) => {
  const { people, events } = await start(t);
  for (let n = 0; n < 10; n++) {
    assert.equal(
      (await people.ask("HEAD", "/v1/events", { token: people.tokens.viewer })).status,
      404,
    );
  }
  assert.equal(events.size(), 0);
});

test("GET /v1/events ends for whoever may no more: revoked, or signed out", async (t) => {
  const { people } = await start(t);
  const token = people.addToken("gone", "viewer");
  const revoked = await people.open("/v1/events", { token });
  const said = await people.ask("POST", "/session", { token: people.tokens.viewer });
  const cookie = said.headers["set-cookie"]?.[0]?.split(";")[0] ?? "";
  const { csrf } = JSON.parse(said.text) as { csrf: string };
  const signed = await people.open("/v1/events", { headers: { cookie } });
  await until("both look", () => signed.text().includes("snapshot"), WAIT);
  people.list.tokens = people.list.tokens.filter(({ name }) => name !== "gone");
  await revoked.ended;
  const seen = eventsIn(signed, "snapshot").length;
  await until("the other goes on", () => eventsIn(signed, "snapshot").length > seen + 2, WAIT);
  const headers = { cookie, "x-understudy-csrf": csrf };
  assert.equal((await people.ask("DELETE", "/session", { headers })).status, 200);
  await signed.ended;
});

test("GET /v1/events drops a reader that doesn't read, and others don't notice", async (t) => {
  const big = "x".repeat(400_000);
  let looks = 0;
  const cluster = async () => ({ ...judge(three()), verdict: `${(looks += 1)} ${big}` });
  const { people, events } = await start(t, { cluster });
  const slow = await people.open("/v1/events", { token: people.tokens.viewer });
  slow.pause();
  const quick = await people.open("/v1/events", { token: people.tokens.admin });
  assert.equal(events.size(), 2);
  await until("the slow one is dropped", () => events.size() === 1, WAIT);
  const seen = eventsIn(quick, "snapshot").length;
  await until("the other gets on", () => eventsIn(quick, "snapshot").length > seen + 3, WAIT);
  slow.resume();
  await slow.ended;
  quick.close();
});

test("GET /v1/events is bounded: so many of one token, which leaves room for its requests", async (t) => {
  const { people, events } = await start(t);
  const token = people.tokens.viewer;
  const streams: Opened[] = [];
  for (let n = 0; n < 8; n++) streams.push(await people.open("/v1/events", { token }));
  assert.ok(streams.every(({ status }) => status === 200));
  const ninth = await people.ask("GET", "/v1/events", { token });
  assert.equal(ninth.status, 429);
  assert.match(ninth.text, /events\.too-many/);
  assert.equal((await people.ask("GET", "/v1/local", { token })).status, 200);
  streams[0]?.close();
  await until("one has gone", () => events.size() === 7, WAIT);
  const next = await people.open("/v1/events", { token });
  assert.equal(next.status, 200);
  for (const stream of [...streams, next]) stream.close();
  await until("all have gone", () => events.size() === 0, WAIT);
});

test("renderEvent keeps an event whole, whatever is in it", () => {
  const text = renderEvent("history", { what: "a\n\nevent: x\r\ndata: \u2028" });
  assert.equal(text.split("\n").length, 4);
});
