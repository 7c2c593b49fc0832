// What strangers can do to a listener before anybody knows who they are.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { startTestPeople } from "./testing/people.ts";

const MANY = 200;
const SOON = { withinMs: 30_000, everyMs: 100 };

/** A connection that says nothing; resolves once it was ended from over there. */
function open(port: number): { socket: Socket; ended: Promise<void> } {
  const socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  socket.resume();
  return { socket, ended: new Promise((resolve) => socket.on("close", () => resolve())) };
}

test("listenWithTls ends what one address opens beyond its share, and goes on serving others' requests", async () => {
  const people = await startTestPeople();
  try {
    const token = people.tokens.viewer;
    assert.equal((await people.ask("GET", "/v1/local", { token })).status, 200);
    const opened = Array.from({ length: MANY }, () => open(people.port));
    let ended = 0;
    const enough = new Promise<void>((resolve) => {
      for (const each of opened) {
        void each.ended.then(() => {
          ended += 1;
          // Some arrive later than others: a few of them are granted meanwhile.
          if (ended === MANY / 2) resolve();
        });
      }
    });
    await enough;
    // On a connection from before.
    assert.equal((await people.ask("GET", "/v1/local", { token })).status, 200);
    assert.ok(
      opened.some(({ socket }) => !socket.destroyed),
      "it let some in",
    );
    for (const { socket } of opened) socket.destroy();
  } finally {
    await people.close();
  }
});

test("listenWithTls lets no address hold so many connections that others can't come", async () => {
  const people = await startTestPeople();
  try {
    // Within its share of arrivals.
    const opened = Array.from({ length: 60 }, () => open(people.port));
    await Promise.race(opened.map(async ({ ended }) => ended));
    const token = people.tokens.viewer;
    const agent = people.from("127.0.0.2");
    assert.equal((await people.ask("GET", "/v1/local", { token, agent })).status, 200);
    // One that goes makes room for another.
    for (const { socket } of opened) socket.destroy();
    const again = async () => people.ask("GET", "/v1/local", { token }).catch(() => undefined);
    assert.equal((await until("it may come again", again, SOON)).status, 200);
  } finally {
    await people.close();
  }
});
