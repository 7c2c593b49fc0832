import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { wallMs } from "../../host/clock.ts";
import { createPuppetDbClient } from "../puppetdb-client.ts";
import { ToyPuppetDb } from "../testing/toy-puppetdb.ts";
import { emptyResult, type RoundDeps, runRound } from "./round.ts";
import { createTriedMemory } from "./tried.ts";

async function clientOf(t: TestContext, id: string) {
  const toy = new ToyPuppetDb(id);
  await toy.start();
  const client = createPuppetDbClient({ id, url: `http://127.0.0.1:${toy.port}` });
  t.after(async () => {
    client.close();
    await toy.stop();
  });
  return client;
}

void test("runRound that finds nobody to compare with is no round that found all level", async (t) => {
  const level: boolean[] = [];
  const deps: RoundDeps = {
    here: await clientOf(t, "s1"),
    others: [],
    tried: createTriedMemory(() => undefined),
    every: true,
    onProgress: () => undefined,
    onNodes: async (_lacks, isLevel) => void level.push(isLevel),
    nowMs: wallMs,
    settledMs: wallMs,
    signal: new AbortController().signal,
  };
  const alone = emptyResult();
  await assert.rejects(runRound(deps, alone), /no other PuppetDB answers/);
  assert.equal(alone.whole, false);
  const both = emptyResult();
  const others = [{ client: await clientOf(t, "s2"), proves: true }];
  await runRound({ ...deps, others }, both);
  assert.equal(both.whole, true);
  assert.deepEqual(level, [true]);
});
