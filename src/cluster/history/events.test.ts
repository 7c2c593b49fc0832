import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { messageIdOf } from "../../base/message-id.ts";
import { KINDS } from "./kinds.ts";
import { eventOf, eventOfTopic, EVENTS } from "./events.ts";

test("events of both states of a topic have names of their own", () => {
  const cases: [string, string, string][] = [
    ["address", "yes", "address-gained"],
    ["address", "no", "address-lost"],
    ["answers", "yes", "member-up"],
    ["answers", "no", "member-down"],
    ["puppetserver", "up", "puppetserver-up"],
    ["puppetserver", "silent", "puppetserver-down"],
    ["leader", "yes", "leader-gained"],
    ["member", "leaving", "member-changed"],
  ];
  for (const [topic, state, event] of cases) assert.equal(eventOfTopic(topic, state), event);
  assert.equal(eventOfTopic("toString", "yes"), undefined);
});

test("whatever is told of any kind has a name that is in the list", () => {
  // These are told by their topic only.
  const named = new Set(["address", "edge", "leader", "puppetserver", "record"]);
  for (const kind of Object.keys(KINDS).filter((each) => !named.has(each))) {
    assert.ok(Object.hasOwn(EVENTS, eventOf({ kind })), kind);
  }
});

test("docs/hooks.md lists exactly the events, each with its id in the journal", () => {
  const book = readFileSync(join(import.meta.dirname, "../../../docs/hooks.md"), "utf8");
  const listed = [...book.matchAll(/^\| `([a-z-]+)` \| .* \| `([0-9a-f]{32})` \|$/gm)].map(
    ([, event, id]) => [event, id],
  );
  assert.deepEqual(
    listed,
    Object.keys(EVENTS).map((event) => [event, messageIdOf(event)]),
  );
});
