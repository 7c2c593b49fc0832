import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { answerOf } from "./answer.ts";
import { readBody } from "./read-body.ts";

/** Asks a server that closes the connections of those requests that are in `closes`, from 1 on. */
async function asker(t: TestContext, closes: readonly number[]) {
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    count += 1;
    if (closes.includes(count)) incoming.socket.destroy();
    else incoming.resume().on("end", () => outgoing.end(String(count)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  t.after(() => {
    agent.destroy();
    server.close();
  });
  return async () => {
    const start = () => request({ host: "127.0.0.1", port, agent, method: "PUT" });
    return (await readBody(await answerOf(start, "a body"), 100)).toString();
  };
}

void test("answerOf sends again what went out on kept connections that were closed", async (t) => {
  const ask = await asker(t, [3, 4]);
  assert.deepEqual((await Promise.all([ask(), ask()])).toSorted(), ["1", "2"]);
  assert.equal(await ask(), "5");
});

void test("answerOf says that a new connection was closed", async (t) => {
  const ask = await asker(t, [1]);
  await assert.rejects(ask, { code: "ECONNRESET" });
  assert.equal(await ask(), "2");
});
