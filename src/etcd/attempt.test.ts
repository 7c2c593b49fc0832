// What an attempt knows of a request that nobody answered, with an HTTP server that plays a member.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createTransport } from "./attempt.ts";

/** As many connections as a member is given at most, and one request more. */
const REQUESTS = 65;

void test("an attempt that waited for a busy connection says that it was sent", async (t) => {
  const got: number[] = [];
  const server = createServer((incoming, outgoing) => {
    let text = "";
    incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    incoming.on("end", () => {
      const { n } = JSON.parse(text) as { n: number };
      got.push(n);
      // The last one is taken, and never answered.
      if (n < REQUESTS - 1) setTimeout(() => outgoing.end("{}"), 100);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const transport = createTransport(undefined);
  t.after(() => {
    transport.close();
    server.closeAllConnections();
    server.close();
  });
  const attempts = Array.from({ length: REQUESTS }, async (_, n) =>
    transport.attempt({
      endpoint: `http://127.0.0.1:${port}`,
      path: "/v3/kv/txn",
      body: { n },
      connectMs: 5000,
      silenceMs: 5000,
    }),
  );
  const outcomes = await Promise.all(attempts);
  assert.ok(got.includes(REQUESTS - 1));
  const last = outcomes.pop();
  assert.ok(last?.got === "nothing" && last.sent, JSON.stringify(last));
  assert.ok(outcomes.every((outcome) => outcome.got === "answer"));
});
