import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { createQueries } from "./queries.ts";

const PUPPETDBS = ["s1", "s2"];

/** What one courier decides, with the PuppetDBs that are fit now. */
async function courier(stateDir: string, use?: { id: string; at: string }) {
  const fit = new Set(PUPPETDBS);
  const queries = await createQueries(
    { stateDir, puppetdbs: PUPPETDBS, avoid: [], use },
    { peers: [], isFit: (id) => fit.has(id), log: createLog(() => undefined) },
  );
  return { fit, queries };
}

void test("createQueries goes on, after none was fit, with the one that answered before", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "queries-"));
  try {
    const { fit, queries } = await courier(stateDir);
    fit.delete("s1");
    assert.equal(queries.choose(), "s2");
    fit.clear();
    assert.equal(queries.choose(), undefined);
    assert.equal(queries.chosen(), undefined, "others aren't told of one that is unfit");
    fit.add("s1").add("s2");
    assert.equal(queries.choose(), "s2");
  } finally {
    await rm(stateDir, { recursive: true });
  }
});

void test("createQueries follows an order once, when the one that is meant is fit", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "queries-"));
  try {
    const { fit, queries } = await courier(stateDir, { id: "s2", at: "1" });
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
  } finally {
    await rm(stateDir, { recursive: true });
  }
});
