import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { createLog } from "../base/log.ts";
import { createQueries } from "./queries.ts";

const PUPPETDBS = ["s1", "s2"];

type Order = { id: string; at: string };

/** What one courier decides, with the PuppetDBs that are fit now. */
async function courier(t: TestContext, use?: Order, folder?: string) {
  const stateDir = folder ?? (await mkdtemp(join(tmpdir(), "queries-")));
  const fit = new Set(PUPPETDBS);
  const queries = await createQueries(
    { stateDir, puppetdbs: PUPPETDBS, avoid: [], use },
    { peers: [], isFit: (id) => fit.has(id), log: createLog(() => undefined) },
  );
  t.after(async () => {
    await queries.kept();
    await rm(stateDir, { recursive: true, force: true });
  });
  return { fit, queries, stateDir };
}

void test("createQueries goes on, after none was fit, with the one that answered before", async (t) => {
  const { fit, queries } = await courier(t);
  fit.delete("s1");
  assert.equal(queries.choose(), "s2");
  fit.clear();
  assert.equal(queries.choose(), undefined);
  assert.equal(queries.chosen(), undefined, "others aren't told of one that is unfit");
  fit.add("s1").add("s2");
  assert.equal(queries.choose(), "s2");
});

void test("createQueries follows an order once, when the one that is meant is fit", async (t) => {
  const order = { id: "s2", at: "1" };
  const { fit, queries, stateDir } = await courier(t, order);
  fit.delete("s2");
  assert.equal(queries.choose(), "s1");
  queries.follow();
  assert.equal(queries.chosen()?.id, "s1");
  fit.add("s2");
  queries.follow();
  assert.equal(queries.chosen()?.id, "s2", "with nobody asking");
  fit.delete("s2");
  assert.equal(queries.choose(), "s1");
  fit.add("s2");
  assert.equal(queries.choose(), "s1", "a failure has moved them since");
  await queries.kept();
  const { queries: started } = await courier(t, order, stateDir);
  assert.equal(started.choose(), "s1", "after a start too");
});
