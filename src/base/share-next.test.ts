import assert from "node:assert/strict";
import { test } from "node:test";
import { shareNext } from "./share-next.ts";

function createWork() {
  const runs: PromiseWithResolvers<number>[] = [];
  const share = shareNext(() => {
    const run = Promise.withResolvers<number>();
    runs.push(run);
    return run.promise;
  });
  /** Lets everything that can go on go on. */
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  return { runs, share, settle };
}

test("shareNext gives those who ask during a run what the next one comes to", async () => {
  const { runs, share, settle } = createWork();
  const first = share();
  const [second, third] = [share(), share()];
  await settle();
  assert.equal(runs.length, 1);
  runs[0]?.resolve(1);
  assert.equal(await first, 1);
  await settle();
  assert.equal(runs.length, 2);
  const fourth = share();
  runs[1]?.resolve(2);
  assert.deepEqual(await Promise.all([second, third]), [2, 2]);
  await settle();
  runs[2]?.resolve(3);
  assert.equal(await fourth, 3);
  await settle();
  const fifth = share();
  assert.equal(runs.length, 4, "nothing ran, so it begins at once");
  runs[3]?.resolve(4);
  assert.equal(await fifth, 4);
});

test("shareNext passes a failure to those who share the run only", async () => {
  const { runs, share, settle } = createWork();
  const first = share();
  const second = share();
  runs[0]?.reject(new Error("no"));
  await assert.rejects(first, /no/);
  await settle();
  runs[1]?.resolve(2);
  assert.equal(await second, 2);
});
