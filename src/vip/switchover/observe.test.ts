import assert from "node:assert/strict";
import { test } from "node:test";
import { hasElements, parseSockets } from "./observe.ts";
import { parseTheirs } from "./theirs.ts";

test("parseSockets reads near and far ends, IPv4 ones of IPv6 sockets too, and nothing else", () => {
  const text = [
    "ESTAB      0      52              10.77.0.10:8140          10.77.0.13:53446",
    "ESTAB 0      1588   [::ffff:10.77.0.10]:9000 [::ffff:10.77.0.12]:34706",
    "ESTAB 0 0 [fd77::10]:8140 [fd77::1]:4711",
    "",
  ].join("\n");
  assert.deepEqual(parseSockets(text), [
    { from: "10.77.0.13", fromPort: 53446, to: "10.77.0.10", toPort: 8140 },
    { from: "10.77.0.12", fromPort: 34706, to: "10.77.0.10", toPort: 9000 },
  ]);
});

test("hasElements and parseTheirs read nft's JSON, and find nothing in anything else", () => {
  const set = (elem: unknown) =>
    JSON.stringify({ nftables: [{ metainfo: {} }, { set: { elem } }] });
  assert.equal(hasElements(set([{ elem: { val: "ip", expires: 1 } }])), true);
  for (const text of ["", "{}", set(undefined), '{"nftables":[]}']) {
    assert.equal(hasElements(text), false);
  }
  const concat = ["10.0.0.7", 4711, "10.0.0.10", 8140];
  const socket = { from: "10.0.0.7", fromPort: 4711, to: "10.0.0.10", toPort: 8140 };
  assert.deepEqual(parseTheirs(set([{ elem: { val: { concat }, timeout: 9 } }, { concat }, 7])), [
    socket,
    socket,
  ]);
  assert.deepEqual(parseTheirs('{"nftables":[]}'), []);
});
