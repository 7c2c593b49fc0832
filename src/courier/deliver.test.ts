import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { type DeliveryDeps, startDelivery } from "./deliver.ts";
import { judgeAnswer } from "./delivery-plan.ts";
import type { SpooledHead } from "./frame.ts";
import { Progress } from "./progress.ts";
import { openSpool, type Spool } from "./spool.ts";

const SOON = { withinMs: 10_000, everyMs: 10 };

async function fill(spool: Spool, from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id += 1) {
    const certname = `n${id}.test`;
    const kind = "report" as const;
    const head: SpooledHead = { id: "", takenMs: 1, kind, certname, producerMs: 1, query: "" };
    await spool.append(head, Buffer.from("{}"));
  }
}

/** Delivers `spool` to one that takes everything; what that got is in `got`. */
function deliver(spool: Spool, progress: Progress, signal: AbortSignal) {
  const got: string[] = [];
  const target: DeliveryDeps["target"] = {
    id: "s1.test",
    writable: () => true,
    look: async () => undefined,
    send: async ({ certname }) => ({ status: 200, body: String(got.push(certname)) }),
    judge: judgeAnswer,
  };
  const { ended } = startDelivery({
    spool,
    progress,
    target,
    first: () => spool.first,
    mayDeliver: () => true,
    deletedAt: () => undefined,
    bury: async () => assert.fail("nothing is refused"),
    onDone: () => undefined,
    log: createLog(() => undefined),
    signal,
  });
  return { got, ended };
}

void test("startDelivery goes on behind commands that a damaged disk has lost, and is done at the end", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "courier-deliver-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  let spool = await openSpool(folder, { segmentBytes: 1 });
  await fill(spool, 1, 4);
  await spool.close();
  for (const name of (await readdir(folder)).filter((each) => each.endsWith(".idx"))) {
    await rm(join(folder, name));
  }
  await truncate(join(folder, "0000000000000002.seg"), 20);
  spool = await openSpool(folder, { segmentBytes: 1 });
  const stop = new AbortController();
  t.after(() => stop.abort());
  const progress = new Progress();
  const { got, ended } = deliver(spool, progress, stop.signal);
  await until("all are done", () => progress.upTo === 4, SOON);
  assert.deepEqual(got.toSorted(), ["n1.test", "n3.test", "n4.test"]);
  stop.abort();
  await ended;
  await spool.close();
});

void test("startDelivery brings what gets a number that was lost with the end of the spool", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "courier-deliver-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const spool = await openSpool(folder);
  await fill(spool, 1, 2);
  const stop = new AbortController();
  t.after(() => stop.abort());
  const progress = new Progress({ upTo: 4, ahead: [[6, 9]] });
  const { got, ended } = deliver(spool, progress, stop.signal);
  await fill(spool, 3, 7);
  await until("all are done", () => progress.upTo === 7, SOON);
  assert.deepEqual(
    got.toSorted(),
    [3, 4, 5, 6, 7].map((id) => `n${id}.test`),
  );
  stop.abort();
  await ended;
  await spool.close();
});
