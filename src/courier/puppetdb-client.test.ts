import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { createPuppetDbClient, judgeHealth, UNREACHED_HEADER } from "./puppetdb-client.ts";

const said = (state: string, read: boolean, write: boolean, starting = false) =>
  JSON.stringify({
    state,
    status: { "maintenance_mode?": starting, "read_db_up?": read, "write_db_up?": write },
  });

void test("judgeHealth believes only a PuppetDB that says that it stores and answers", () => {
  const cases: [number, string, boolean, boolean, RegExp][] = [
    [200, said("running", true, true), true, true, /^$/],
    [503, said("starting", true, true, true), false, false, /is starting/],
    [503, said("error", false, false), false, false, /its database takes nothing/],
    [503, said("error", true, false), false, true, /its database takes nothing/],
    [200, JSON.stringify({ state: "running", status: {} }), false, false, /takes nothing/],
    [200, "not JSON", false, false, /it answers 200: not JSON/],
    [503, "<html>\n<head>\n", false, false, /^it answers 503: <html> <head>$/],
    [0, "connection refused", false, false, /doesn't answer: connection refused/],
  ];
  for (const [status, body, writable, readable, because] of cases) {
    const health = judgeHealth({ status, body });
    assert.deepEqual([health.writable, health.readable], [writable, readable], body);
    assert.match(health.because, because);
  }
});

async function clientOf(t: TestContext, answer: RequestListener) {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = createPuppetDbClient({ id: "s1", url: `http://127.0.0.1:${port}` });
  t.after(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

void test("PuppetDbClient asks how a PuppetDB is while it is full of queries", async (t) => {
  const client = await clientOf(t, ({ url = "" }, outgoing) => {
    // Queries aren't answered at all.
    if (url.startsWith("/status/")) outgoing.end(said("running", true, true));
  });
  const end = new AbortController();
  const queries = Array.from({ length: 100 }, async () =>
    client.pass({ method: "GET", path: "/pdb/query/v4/nodes", headers: {}, signal: end.signal }),
  );
  const settled = Promise.allSettled(queries);
  assert.deepEqual(await client.health(AbortSignal.timeout(10_000)), {
    writable: true,
    readable: true,
    because: "",
  });
  end.abort();
  await settled;
});

void test("PuppetDbClient takes another courier's word that its PuppetDB doesn't answer", async (t) => {
  const client = await clientOf(t, (_, outgoing) => {
    outgoing.writeHead(502, { [UNREACHED_HEADER]: "connect ECONNREFUSED" }).end("{}");
  });
  const head = { kind: "report", certname: "a.test", producerMs: 1, query: "" } as const;
  const answer = await client.send(head, Buffer.from("{}"), AbortSignal.timeout(10_000));
  assert.deepEqual(answer, { status: 0, body: "connect ECONNREFUSED" });
});
