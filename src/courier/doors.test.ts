import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { text } from "node:stream/consumers";
import type { CourierConfig } from "./config.ts";
import { farewellOf, openDoor, placeOf } from "./doors.ts";

const CONFIG = {
  listen: { address: "127.0.0.1", port: 1 },
  peerListen: { address: "127.0.0.1", port: 2 },
} as CourierConfig;

test("placeOf takes systemd's descriptors where all three are handed to this very process", () => {
  const pid = String(process.pid);
  const given = { LISTEN_FDS: "3", LISTEN_PID: pid };
  assert.deepEqual(placeOf("client", CONFIG, given), { fd: 3 });
  assert.deepEqual(placeOf("status", CONFIG, given), { fd: 5 });
  assert.deepEqual(placeOf("peer", CONFIG, { ...given, LISTEN_PID: "1" }), {
    host: "127.0.0.1",
    port: 2,
  });
  assert.equal(placeOf("status", CONFIG, {}), undefined);
  const statusSocket = "/run/x.sock";
  assert.deepEqual(placeOf("status", { ...CONFIG, statusSocket }, {}), { path: statusSocket });
});

/** Sends a request; `last`: the connection is to end with its answer. Returns the answer. */
async function ask(client: Socket, last: boolean): Promise<string> {
  client.write("GET / HTTP/1.1\r\nHost: toy.test\r\n\r\n");
  return last ? text(client) : String(((await once(client, "data")) as [Buffer])[0]);
}

test("farewellOf answers who uses a kept connection just then, who comes anew, and who waits for an answer", async () => {
  const slow: (() => void)[] = [];
  const door = createServer({ keepAliveTimeout: 2000, keepAliveTimeoutBuffer: 500 });
  door.on("request", (incoming, outgoing) => {
    if (incoming.url === "/slow") slow.push(() => outgoing.end("slow"));
    else outgoing.end("done");
  });
  const farewell = farewellOf(door);
  await openDoor(door, { host: "127.0.0.1", port: 0 });
  const address = door.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const kept = connect(port, "127.0.0.1");
  const waiting = connect(port, "127.0.0.1");
  const silent = connect(port, "127.0.0.1");
  for (const client of [kept, silent]) {
    assert.match(await ask(client, false), /Connection: keep-alive[^]*done/);
  }
  waiting.write("GET /slow HTTP/1.1\r\nHost: toy.test\r\n\r\n");
  await once(door, "request");
  const ended = farewell();
  assert.match(await ask(kept, true), /Connection: close[^]*done/);
  assert.match(await ask(connect(port, "127.0.0.1"), true), /Connection: close[^]*done/);
  for (const answer of slow) answer();
  assert.match(await text(waiting), /Connection: close[^]*slow/);
  await once(silent, "close");
  await ended;
  await assert.rejects(once(connect(port, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
});
