import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createEndpoints } from "./endpoints.ts";

const [A, B, C] = ["https://a:1", "https://b:1", "https://c:1"] as const;

test("createEndpoints keeps the order, the last good one first and fresh failures last", () => {
  let at = 0;
  const endpoints = createEndpoints([A, B, C, `${A}/`], { now: () => at });
  assert.deepEqual(endpoints.order(), [A, B, C]);
  endpoints.worked(B);
  assert.deepEqual(endpoints.order(), [B, A, C]);
  endpoints.failed(B, "no answer");
  assert.deepEqual(endpoints.order(), [A, C, B]);
  at = 60_000;
  assert.deepEqual(endpoints.order(), [B, A, C]);
  endpoints.set([C, A]);
  assert.deepEqual(endpoints.order(), [C, A]);
});

test("createEndpoints is in doubt from a failure until any member serves again", () => {
  const endpoints = createEndpoints([A, B]);
  assert.equal(endpoints.doubtful(), false);
  endpoints.failed(A, "no answer");
  assert.equal(endpoints.doubtful(), true);
  endpoints.worked(B);
  assert.equal(endpoints.doubtful(), false);
});

test("createEndpoints tells who listens of a failure, until they stop", () => {
  const endpoints = createEndpoints([A, B]);
  const heard: string[] = [];
  const stop = endpoints.onFailed(A, (why) => heard.push(why));
  endpoints.failed(A, "one");
  endpoints.failed(B, "two");
  stop();
  endpoints.failed(A, "three");
  assert.deepEqual(heard, ["one"]);
});

test("createEndpoints refuses what is no address", () => {
  for (const urls of [[], [""], ["10.0.0.1:9141"], ["ftp://a"], ["unix:/run/x"]]) {
    assert.throws(
      () => createEndpoints(urls),
      (error) => isFault(error, "etcd.endpoints"),
      String(urls),
    );
  }
});
