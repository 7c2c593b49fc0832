import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { test } from "node:test";
import { tryRun } from "./process.ts";
import { endStrangers, parsePeers, strangersFilter } from "./connections.ts";

test("strangersFilter is understood by ss, with members of both families and without any", async () => {
  for (const members of [[], ["10.88.0.11", "fd88::12"], ["not an address"]]) {
    const filter = strangersFilter(8141, members);
    const { code, stderr } = await tryRun(["ss", "-H", "-t", "-n", "state", "connected", filter]);
    assert.deepEqual([code, stderr], [0, ""]);
  }
});

test("parsePeers reads peers of both families, mapped ones as what they are", () => {
  const text = [
    "ESTAB 0 0 [::ffff:10.5.0.2]:8141 [::ffff:10.5.0.1]:39597",
    "ESTAB 0 0 10.5.0.2:8141 10.5.0.3:44545  ",
    "ESTAB 0 0 [fd88::1]:8141 [fd88::2]:1234",
    "",
  ];
  assert.deepEqual(parsePeers(text.join("\n")), [
    "10.5.0.1:39597",
    "10.5.0.3:44545",
    "[fd88::2]:1234",
  ]);
});

test("endStrangers leaves connections of this server itself", async () => {
  const server = createServer((socket) => socket.end("still here"));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const socket = connect(address.port, "127.0.0.1");
  assert.deepEqual(await endStrangers(address.port, []), []);
  const said = await new Promise((resolve) => {
    socket.once("data", (data) => resolve(data.toString()));
  });
  assert.equal(said, "still here");
  server.close();
});
