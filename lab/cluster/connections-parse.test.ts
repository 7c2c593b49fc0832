import assert from "node:assert/strict";
import { test } from "node:test";
import { hexAddress, openAt, openSockets, parseOpen, readAgentName } from "./connections-parse.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 1500580A:A0F2 0A00580A:1FCC 01 00000000:00000000 00:00000000 00000000     0        0 71234 1 0 20 4 30 10 -1
   1: 1500580A:A0F4 0A00580A:1FCC 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0
   2: 1500580A:A0F6 0A58580A:1FCC 01 00000000:00000000 00:00000000 00000000     0        0 71235 1 0 20
   3: 1500580A:A0F8 0A00580A:1FCD 01 00000000:00000000 00:00000000 00000000     0        0 71236 1 0 20
   4: 1500580A:A0FA 0A00580A:1FCC 02 00000000:00000000 00:00000000 00000000     0        0 71237 1 0 20
`;

test("openSockets keeps established connections to the address and port asked for", () => {
  assert.deepEqual(openSockets(TABLE, "10.88.0.10", 8140), ["71234"]);
  assert.deepEqual(openSockets(TABLE, "10.88.88.10", 8140), ["71235"]);
  assert.deepEqual(openSockets("", "10.88.0.10", 8140), []);
});

test("hexAddress writes the bytes of an IPv4 address backwards, and refuses anything else", () => {
  assert.equal(hexAddress("10.88.0.10"), "0A00580A");
  assert.throws(() => hexAddress("puppet.lab.test"), /no IPv4 address/);
});

test("readAgentName finds the agent's name among a process's variables", () => {
  assert.equal(readAgentName("PATH=/bin\0LAB_AGENT=n1.lab.test\0HOME=/root\0"), "n1.lab.test");
  assert.equal(readAgentName("PATH=/bin\0"), "");
});

test("parseOpen reads whole lines only, and openAt finds the last listing before an instant", () => {
  const listings = parseOpen("1000 \n2000 n1 n2\n3000 n2 n3\n4000 n1 n");
  assert.deepEqual(listings.at(-1), { atMs: 3000, agents: ["n2", "n3"] });
  assert.equal(openAt(listings, 999), undefined);
  assert.deepEqual(openAt(listings, 1699), []);
  assert.deepEqual(openAt(listings, 2000), ["n1", "n2"]);
  assert.deepEqual(openAt(listings, 5000), ["n2", "n3"]);
});

test("openAt counts whoever the next look shows at once: it may have connected during the last", () => {
  const listings = parseOpen("1000 n1\n2000 n2\n");
  assert.deepEqual(openAt(listings, 1700), ["n1", "n2"]);
});
