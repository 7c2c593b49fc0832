import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import type { CommandKind } from "./command.ts";
import { type DeliveryDeps, startDelivery } from "./deliver.ts";
import { createFailures } from "./failures.ts";
import { judgeAnswer } from "./delivery-plan.ts";
import type { SpooledHead } from "./frame.ts";
import { Progress } from "./progress.ts";
import { openSpool, type Spool } from "./spool.ts";

const SOON = { withinMs: 10_000, everyMs: 10 };

async function fill(
  spool: Spool,
  from: number,
  to: number,
  kind: CommandKind = "report",
): Promise<void> {
  for (let id = from; id <= to; id += 1) {
    const certname = `n${id}.test`;
    const head: SpooledHead = { id: "", takenMs: 1, kind, certname, producerMs: 1, query: "" };
    await spool.append(head, Buffer.from("{}"));
  }
}

/** Delivers `spool` to one that takes everything; what that got is in `got`. */
function deliver(
  spool: Spool,
  progress: Progress,
  signal: AbortSignal,
  more: Partial<DeliveryDeps> = {},
) {
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
    failures: createFailures(),
    first: () => spool.first,
    mayDeliver: () => true,
    deletedAt: () => undefined,
    bury: async () => assert.fail("nothing is refused"),
    onDone: () => undefined,
    log: createLog(() => undefined),
    signal,
    ...more,
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

void test("startDelivery buries what a target fails at again and again, unless that fails at everything", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "courier-deliver-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const spool = await openSpool(folder);
  const stop = new AbortController();
  t.after(() => stop.abort());
  let fails = true;
  const sent = new Map<string, number>();
  const buried: string[] = [];
  const target: DeliveryDeps["target"] = {
    id: "s1.test",
    writable: () => true,
    look: async () => undefined,
    async send({ certname }) {
      sent.set(certname, (sent.get(certname) ?? 0) + 1);
      return fails
        ? { status: 503, body: '{"processed":true,"error":"full"}' }
        : { status: 200, body: "" };
    },
    // The second try is the last.
    judge: (answer, tries) => judgeAnswer(answer, tries * 4),
  };
  const progress = new Progress();
  const bury: DeliveryDeps["bury"] = async ({ head }) => void buried.push(head.certname);
  const { ended } = deliver(spool, progress, stop.signal, { target, bury });
  await fill(spool, 1, 1, "facts");
  await until("facts are buried", () => progress.upTo === 1, SOON);
  await fill(spool, 2, 2, "catalog");
  await fill(spool, 3, 3, "report");
  await until(
    "all are tried",
    () => ["n2.test", "n3.test"].every((name) => (sent.get(name) ?? 0) >= 3),
    {
      ...SOON,
      withinMs: 30_000,
    },
  );
  fails = false;
  await until("all are done", () => progress.upTo === 3, SOON);
  assert.deepEqual(buried, ["n1.test"]);
  stop.abort();
  await ended;
  await spool.close();
});
