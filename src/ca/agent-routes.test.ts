// What agents get, as the daemon's own listener sends it.

import assert from "node:assert/strict";
import { createServer, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { getRequestListener } from "@hono/node-server";
import { until } from "../base/retry.ts";
import { agentRoutes } from "./agent-routes.ts";
import type { Call } from "./routes.ts";

test("the CRL is in memory once, however many agents take it slowly", async () => {
  const folder = await mkdtemp(join(tmpdir(), "understudy-crl-"));
  const socket = join(folder, "sock");
  const pem = Buffer.alloc(4 * 1024 * 1024, "a");
  const agents = 30;
  const route = agentRoutes.find(({ path }) => path.startsWith("certificate_revocation_list"));
  const publisher = { crl: () => ({ pem, thisUpdateMs: 0 }), sinceMs: () => 0 };
  const answers: ServerResponse[] = [];
  const listener = getRequestListener((request) =>
    route === undefined ? undefined : route.handle({ request, core: { publisher } } as Call),
  );
  const server = createServer((incoming, outgoing) => {
    answers.push(outgoing);
    void listener(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const before = process.memoryUsage().arrayBuffers;
  // Nobody reads: what was written stays here, but for what fits in the socket.
  const slow = Array.from({ length: agents }, () => connect(socket).pause());
  try {
    for (const each of slow) each.write("GET /puppet-ca/v1/x HTTP/1.1\r\nhost: edge\r\n\r\n");
    const begun = () =>
      answers.length === agents && answers.every(({ writableEnded }) => writableEnded);
    await until("all answers are under way", begun, { withinMs: 60_000, everyMs: 20 });
    assert.ok(process.memoryUsage().arrayBuffers - before < 4 * pem.length);
  } finally {
    for (const each of slow) each.destroy();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
