// The way to a certificate authority: this server's own, others' when it is gone, files last of
// all.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { until } from "../base/retry.ts";
import { createFileServer } from "./file-server.ts";
import { observeEdge } from "./observe.ts";
import { edgeRuntime } from "./runtime.ts";
import { type Ask, TestEdge } from "./testing/edge.ts";

const CSR = "/puppet-ca/v1/certificate_request/new.test";
const STATUS = "/puppet-ca/v1/certificate_status/new.test";
const CA = "/puppet-ca/v1/certificate/ca";

/** An edge with the daemon's socket, other authorities and the file server in place. */
async function start(others: number): Promise<TestEdge> {
  const edge = await TestEdge.make({ puppetservers: 1, others });
  const names = edge.config.authorities.map(({ name }) => name);
  await edge.startToy("local", edge.config.caSocket);
  await Promise.all(["p1", ...names].map(async (name) => edge.startToy(name)));
  await edge.startHaproxy();
  return edge;
}

async function startFiles(edge: TestEdge): Promise<AsyncDisposable> {
  const cadir = join(edge.folder, "ca");
  await mkdir(join(cadir, "signed"), { recursive: true });
  await writeFile(join(cadir, "ca_crt.pem"), "-----BEGIN X-----\n-----END X-----\n");
  const server = createFileServer(cadir);
  await new Promise<void>((resolve) => server.listen(edge.config.filesSocket, resolve));
  return {
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function localAuthorityIsDown(edge: TestEdge): Promise<void> {
  const find = async () => !(await observeEdge(edgeRuntime(edge.config))).authority;
  await until("the local authority is down", find, { withinMs: 60_000, everyMs: 30 });
}

/** Each backend has health checks of its own, which end at different moments. */
async function goesTo(edge: TestEdge, path: string, ask: Ask & { server: string }): Promise<void> {
  const find = async () => (await edge.ask(path, ask)).json.server === ask.server;
  await until(`${path} goes to ${ask.server}`, find, { withinMs: 60_000, everyMs: 50 });
}

describe(
  "the certificate authority behind the edge",
  { concurrency: true, timeout: 240_000 },
  () => {
    test("paths of the authority go to the daemon with the agent's identity, statuses of others don't", async () => {
      await using edge = await start(0);
      const local = [CA, CSR, STATUS, "/status/v1/services", "/status/v1/services/ca"];
      for (const path of [
        ...local,
        "/status/v1/simple/ca",
        "/puppet-ca/v1/certificate_statuses/all",
      ]) {
        const { json } = await edge.ask(path);
        assert.equal(json.server, "local", path);
        assert.equal(json.headers["x-client-dn"], "CN=agent1.test");
        const none = await edge.ask(path, { leaf: null, headers: { "X-Client-DN": "CN=evil" } });
        assert.equal(none.json.headers["x-client-verify"], "NONE");
        assert.equal(none.json.headers["x-client-dn"], undefined);
      }
      for (const path of [
        "/status/v1/services/jruby-metrics",
        "/puppet-ca-not/v1",
        "/puppet/v3/x",
      ]) {
        assert.equal((await edge.ask(path)).json.server, "p1", path);
      }
    });

    test("no authority, own or another server's, hears of an identity that somebody claims", async () => {
      await using edge = await start(1);
      const spellings = [
        "X-Client-DN",
        "x_client_dn",
        "X-CLIENT-Verify",
        "X-Client_Cert",
        "X-Client",
        "X--Client-DN",
      ];
      const claims = Object.fromEntries(spellings.map((name) => [name, "CN=evil"]));
      const tryAll = async (server: string) => {
        for (const [path, ask] of [
          [CA, {}],
          [CSR, { method: "PUT", body: "csr" }],
          [STATUS, { method: "PUT", body: "{}" }],
          [STATUS, { method: "PUT", body: "{}", chunked: true }],
        ] satisfies [string, Ask][]) {
          for (const leaf of [null, edge.pki.agent]) {
            const { json } = await edge.ask(path, { ...ask, leaf, headers: claims });
            assert.equal(json.server, server, path);
            assert.ok(!JSON.stringify(json.headers).includes("evil"), path);
            const verified = leaf === null ? "NONE" : "SUCCESS";
            assert.equal(json.headers["x-client-verify"], verified, path);
          }
        }
      };
      await tryAll("local");
      edge.signal("local", "SIGKILL");
      await localAuthorityIsDown(edge);
      await goesTo(edge, CSR, { server: "a1", method: "PUT", body: "csr" });
      await goesTo(edge, CA, { server: "a1" });
      await tryAll("a1");
    });

    test("a request above 64 KiB gets 413 and reaches nobody, with its length and in chunks", async () => {
      await using edge = await start(0);
      for (const chunked of [false, true]) {
        const put = (bytes: number) => ({ method: "PUT", body: Buffer.alloc(bytes, "c"), chunked });
        assert.equal((await edge.ask(`${CSR}?id=ok${chunked}`, put(65_536))).status, 200);
        assert.equal((await edge.ask(`${CSR}?id=large`, put(65_537))).status, 413);
        assert.equal((await edge.ask(`${CSR}?id=large`, put(900_000))).status, 413);
      }
      // A client that goes on sending may see its connection end before it reads the answer.
      const huge = { method: "PUT", body: Buffer.alloc(10_000_000) };
      const outcome = await edge.ask(`${CSR}?id=large`, huge).then(
        ({ status }) => status,
        () => 413,
      );
      assert.equal(outcome, 413);
      assert.deepEqual(await edge.servedBy("large"), []);
      // Who has a certificate may name thousands of them at once, and nobody else.
      const clean = { method: "PUT", body: Buffer.alloc(900_000, "c") };
      const path = "/puppet-ca/v1/clean?id=names";
      assert.equal((await edge.ask(path, { ...clean, leaf: null })).status, 413);
      assert.deepEqual(await edge.servedBy("names"), []);
      const { status, json } = await edge.ask(path, clean);
      assert.equal(status, 200);
      assert.equal(json.bodyBytes, 900_000);
    });

    test("when the daemon dies, others take over in order, then files for what they have", async () => {
      await using edge = await start(2);
      await using _files = await startFiles(edge);
      const put = { method: "PUT", body: "csr" };
      assert.equal((await edge.ask(CSR, put)).json.server, "local");
      edge.signal("local", "SIGKILL");
      assert.equal((await edge.ask(CSR, put)).json.server, "a1");
      assert.equal((await edge.ask(STATUS, put)).json.server, "a1");
      await localAuthorityIsDown(edge);
      edge.signal("a1", "SIGKILL");
      assert.equal((await edge.ask(CA)).json.server, "a2");
      edge.signal("a2", "SIGKILL");
      const fromFiles = await edge.ask(CA);
      assert.equal(fromFiles.status, 200);
      assert.match(fromFiles.text, /BEGIN X/);
      const missing = await edge.ask("/puppet-ca/v1/certificate/new.test");
      assert.deepEqual(
        [missing.status, missing.text],
        [404, "Could not find certificate new.test"],
      );
      // What changes certificates waits for somebody who can.
      const waiting = edge.ask(CSR, put);
      await edge.startToy("a2");
      assert.equal((await waiting).json.server, "a2");
      await edge.startToy("local", edge.config.caSocket);
      await goesTo(edge, CSR, { server: "local", ...put });
    });

    test("reads reach the file server when every daemon has just died", async () => {
      await using edge = await start(4);
      await using _files = await startFiles(edge);
      const names = ["local", ...edge.config.authorities.map(({ name }) => name)];
      for (const name of names) edge.signal(name, "SIGKILL");
      const said = await edge.ask(CA);
      assert.equal(said.status, 200);
      assert.match(said.text, /BEGIN X/);
    });

    test("what changes certificates goes to a server that can sign, reads stay", async () => {
      await using edge = await start(2);
      const put = { method: "PUT", body: "csr" };
      const goes = async (path: string, server: string, options: Ask = {}) =>
        goesTo(edge, path, { server, ...options });
      await edge.setHealth("local", 503, ".sign");
      await goes(CSR, "a1", put);
      await goes(STATUS, "a1", put);
      await goes(CSR, "local");
      await goes(CA, "local");
      // Where nobody can, a request is kept rather than held.
      for (const name of ["a1", "a2"]) await edge.setHealth(name, 503, ".sign");
      await goes(CSR, "local", put);
      await edge.setHealth("a2", 200, ".sign");
      await goes(CSR, "a2", put);
    });

    test("a daemon that hangs loses its requests to another: those that may be repeated", async () => {
      await using edge = await start(1);
      const put = { method: "PUT", body: "csr" };
      edge.signal("local", "SIGSTOP");
      const [read, request, change] = await Promise.all([
        edge.ask(CA),
        edge.ask(CSR, put),
        edge.ask(STATUS, put),
      ]);
      assert.deepEqual([read.json.server, request.json.server], ["a1", "a1"]);
      assert.equal(change.status, 502);
    });

    test("what changes a certificate is not repeated when its authority dies", async () => {
      await using edge = await start(1);
      const put = { method: "PUT", body: "{}" };
      assert.equal((await edge.ask(`${STATUS}?id=s&cut=50`, put)).status, 502);
      assert.deepEqual(await edge.servedBy("s"), ["local"]);
      assert.equal((await edge.ask(`${CSR}?id=r&cut=50`, put)).status, 502);
      assert.deepEqual([...new Set(await edge.servedBy("r"))], ["local"]);
    });
  },
);
