// Clients that dawdle: each is ended within a bound, and nobody else waits for them.

import assert from "node:assert/strict";
import { connect as connectPlainly } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { after, before, test } from "node:test";
import { CONTROL_HOSTNAME } from "../cluster/pki.ts";
import { startTestPeople } from "./testing/people.ts";

const BOUND_MS = 60_000;
let people: Awaited<ReturnType<typeof startTestPeople>>;
before(async () => {
  people = await startTestPeople();
});
after(async () => people.close());

/** Sends `first`, then `piece` every second. Resolves with what came back when it was ended. */
async function dawdle(first: string, piece: string): Promise<string> {
  const { port, ca } = people;
  return new Promise((resolve) => {
    let answer = "";
    const socket: TLSSocket = connect(
      { host: "127.0.0.1", port, ca, servername: CONTROL_HOSTNAME },
      () => {
        socket.write(first);
        const timer = setInterval(() => socket.write(piece), 1000);
        socket.on("close", () => clearInterval(timer));
      },
    );
    socket.on("data", (chunk: Buffer) => (answer += chunk.toString()));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });
}

test(
  "slow headers, slow bodies and silent handshakes are ended; others are answered meanwhile",
  { timeout: BOUND_MS },
  async () => {
    const { port, ask, tokens } = people;
    const authorization = `Authorization: Bearer ${tokens.operator}\r\n`;
    const silent = new Promise<void>((resolve) => {
      const socket = connectPlainly({ host: "127.0.0.1", port });
      socket.resume();
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
    const ended = Promise.all([
      dawdle("GET /v1/local HTTP/1.1\r\nHost: x\r\n", "X-A: 1\r\n"),
      dawdle(
        `POST /v1/ca/sign HTTP/1.1\r\nHost: x\r\n${authorization}Content-Length: 1000\r\n\r\n`,
        "x",
      ),
      silent,
    ]);
    for (let asked = 0; asked < 5; asked += 1) {
      const { status } = await ask("GET", "/v1/local", { token: tokens.viewer });
      assert.equal(status, 200);
    }
    const [headers, body] = await ended;
    for (const answer of [headers, body]) assert.doesNotMatch(answer, /^HTTP\/1\.1 200/);
    assert.deepEqual(people.calls, []);
  },
);
