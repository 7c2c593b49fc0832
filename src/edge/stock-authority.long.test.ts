// The way to stock's CA when the cluster's has ended: one puppetserver, which is told who asks, and
// the files for who only reads while it is down.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { createFileServer } from "./file-server.ts";
import { observeEdge } from "./observe.ts";
import { edgeRuntime } from "./runtime.ts";
import { TestEdge } from "./testing/edge.ts";

const CSR = "/puppet-ca/v1/certificate_request/new.test";
const STATUS = "/puppet-ca/v1/certificate_status/new.test";
const CA = "/puppet-ca/v1/certificate/ca";
const SETTLE = { withinMs: 30_000, everyMs: 30 };

/** An edge whose cluster has no CA any more: stock's is the toy `a1`, the daemon is there still. */
async function start(): Promise<TestEdge> {
  const made = await TestEdge.make({ puppetservers: 1, others: 1 });
  const [stockAuthority] = made.config.authorities;
  assert.ok(stockAuthority);
  const edge = made.with({ ...made.config, stockAuthority });
  await edge.startToy("local", edge.config.caSocket);
  await Promise.all(["p1", "a1"].map(async (name) => edge.startToy(name)));
  await edge.startHaproxy();
  return edge;
}

const stockIsUp = async (edge: TestEdge) => (await observeEdge(edgeRuntime(edge.config))).authority;

test("every path of the CA goes to stock's puppetserver, with the edge's word of who asks", async () => {
  await using edge = await start();
  await until("stock is up", () => stockIsUp(edge), SETTLE);
  for (const [path, method] of [
    [CA, "GET"],
    [CSR, "PUT"],
    [STATUS, "PUT"],
    [STATUS, "DELETE"],
    ["/status/v1/simple/ca", "GET"],
  ] as const) {
    const { json } = await edge.ask(path, { method, headers: { "X-Client-DN": "CN=evil" } });
    assert.deepEqual([json.server, json.headers["x-client-dn"]], ["a1", "CN=agent1.test"], path);
    assert.match(json.headers["x-client-cert"] ?? "", /BEGIN%20CERTIFICATE/);
    const none = await edge.ask(path, { method, leaf: null });
    assert.equal(none.json.headers["x-client-verify"], "NONE");
  }
  assert.equal((await edge.ask("/puppet/v3/x")).json.server, "p1");
});

test("while stock's CA service isn't there yet reads come from the files, and a request waits for it", async () => {
  await using edge = await start();
  await edge.setHealth("a1", 404, ".ca");
  await until("stock is down", async () => !(await stockIsUp(edge)), SETTLE);
  const cadir = join(edge.folder, "ca");
  await mkdir(join(cadir, "signed"), { recursive: true });
  await writeFile(join(cadir, "ca_crt.pem"), "-----BEGIN X-----\n-----END X-----\n");
  const files = createFileServer(cadir);
  await new Promise<void>((resolve) => files.listen(edge.config.filesSocket, resolve));
  try {
    assert.match((await edge.ask(CA)).text, /BEGIN X/);
    const asked = edge.ask(CSR, { method: "PUT", body: "csr" });
    await edge.setHealth("a1", 200, ".ca");
    assert.equal((await asked).json.server, "a1");
    assert.ok(!(await edge.toys.get("local")?.log())?.some((line) => line.startsWith("start")));
  } finally {
    files.closeAllConnections();
    await new Promise((resolve) => files.close(resolve));
  }
});
