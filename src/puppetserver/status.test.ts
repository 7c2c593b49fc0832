import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { isFault } from "../base/fault.ts";
import { parseStatus, readPuppetserverStatus } from "./status.ts";

const service = (state: string, experimental: object = {}) => ({
  service_version: "7.9.5",
  service_status_version: 1,
  state,
  status: { experimental },
});
const full = {
  server: service("running"),
  "jruby-metrics": service("running", {
    metrics: {
      "num-jrubies": 4,
      "num-free-jrubies": 1,
      "requested-count": 900,
      "requested-instances": [{}, {}],
      "average-borrow-time": 812.5,
    },
  }),
  "status-service": service("running", {
    "jvm-metrics": { "up-time-ms": 69273, "heap-memory": { used: 376885248, max: 536870912 } },
  }),
};

test("parseStatus reads JRubies, queue, memory and version", () => {
  assert.deepEqual(parseStatus(JSON.stringify(full)), {
    state: "running",
    version: "7.9.5",
    jrubies: 4,
    freeJrubies: 1,
    queued: 2,
    borrowMs: 812.5,
    upMs: 69273,
    heapUsedBytes: 376885248,
    heapMaxBytes: 536870912,
  });
});

test("parseStatus makes do without metrics, with odd ones, and with the older service name", () => {
  const { state, jrubies, queued } = parseStatus(
    JSON.stringify({
      master: service("starting"),
      "jruby-metrics": service("starting", { metrics: { "num-jrubies": "four" } }),
      "status-service": null,
    }),
  );
  assert.deepEqual([state, jrubies, queued], ["starting", undefined, undefined]);
  assert.equal(parseStatus(JSON.stringify({ server: service("dancing") })).state, "unknown");
});

test("parseStatus refuses anything that is no status, and never throws otherwise", () => {
  for (const body of ["", "[]", "null", "{}", "<html>", '{"server":1}']) {
    assert.throws(
      () => parseStatus(body),
      (error) => isFault(error, "puppetserver.status-unknown"),
    );
  }
  fc.assert(
    fc.property(fc.json(), (metrics) => {
      const body = `{"server":${JSON.stringify(service("running"))},"jruby-metrics":${metrics}}`;
      assert.equal(parseStatus(body).state, "running");
    }),
  );
});

test("readPuppetserverStatus says which puppetserver it couldn't reach", async () => {
  const access = { address: "127.0.0.1", port: 1, serverName: "s1.lab.test" };
  await assert.rejects(
    readPuppetserverStatus({ ...access, ca: "", cert: "", key: "" }),
    (error) =>
      isFault(error, "puppetserver.unreachable") &&
      /s1\.lab\.test \(127\.0\.0\.1:1\)/.test(error.message),
  );
});
