// A courier is killed before each of its steps, one life after the other: between two of them there
// is none at which something that it acknowledged gets lost.

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../base/retry.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { SOON, TestCouriers } from "./testing/couriers.ts";
import { ToyReceiver } from "./testing/receiver.ts";

const VICTIM = "s1.test";
const NEVER = 1_000_000;
const LIVES_AT_ONCE = 4;
/** All would take minutes: every so manieth step, from another one each time. */
const EVERY = Number(process.env["UNDERSTUDY_CRASH_EVERY"] ?? 5);
const REPORTS = "/understudy/courier/v1/reports";
const ADMIN = "/pdb/admin/v1/cmd";

interface Acknowledged {
  commands: string[];
  uploads: string[];
}

/** A life of the victim until it dies, or ends in order; and its next one, which has to finish it. */
async function live(crashAt: number): Promise<TestCouriers["output"]> {
  await using receiver = await ToyReceiver.make();
  await receiver.start();
  await using couriers = await TestCouriers.make({ couriers: 2, puppetdbs: 2 });
  couriers.more = { receivers: [{ name: "r", url: `http://127.0.0.1:${receiver.port}/` }] };
  await couriers.toy("s2.test").stop();
  await couriers.start("s2.test");
  couriers.crashes.set(VICTIM, crashAt);
  // One that dies at its start is what this is about.
  await couriers.start(VICTIM).catch(() => undefined);
  const acknowledged = await sendAll(couriers);
  await couriers.toy("s2.test").start();
  const isDone = async () => !couriers.isRunning(VICTIM) || (await waiting(couriers)) === 0;
  await until("it is dead or done", isDone, SOON);
  await couriers.kill(VICTIM, "SIGTERM");
  await couriers.start(VICTIM);
  const lacks = () => lacking(couriers, receiver, acknowledged);
  await until(`nothing is lost: ${lacks().join()}`, () => lacks().length === 0, SOON);
  return couriers.output;
}

/** Sends each kind; what was answered with 200 is promised. */
async function sendAll(couriers: TestCouriers): Promise<Acknowledged> {
  const acknowledged: Acknowledged = { commands: [], uploads: [] };
  const at = isoTime(wallMs());
  const sent: [string, string, number][] = [
    ["store_report", "a.test", 8],
    ["replace_facts", "b.test", 5],
    ["replace_facts", "b.test", 5],
    ["deactivate_node", "c.test", 3],
  ];
  for (const [command, certname, version] of sent) {
    const status = await couriers.command(VICTIM, certname, { command, version, at });
    if (status === 200) acknowledged.commands.push(`${command} ${certname}`);
  }
  const act = { command: "delete", version: 1, payload: { certname: "d.test" } };
  const deleted = await couriers.ask(VICTIM, ADMIN, { body: JSON.stringify(act) });
  if (deleted.status === 200) acknowledged.commands.push("delete d.test");
  const body = "---\nhost: e.test\n";
  const headers = { "content-type": "application/x-yaml" };
  const uploaded = await couriers.ask(VICTIM, REPORTS, { body, headers });
  if (uploaded.status === 200) acknowledged.uploads.push(body);
  return acknowledged;
}

function lacking(
  couriers: TestCouriers,
  receiver: ToyReceiver,
  { commands, uploads }: Acknowledged,
): string[] {
  const missing = [...couriers.puppetdbs].flatMap(([id, toy]) => {
    const has = new Set(
      toy.got.map(({ query }) => `${query.get("command")} ${query.get("certname")}`),
    );
    return commands.filter((command) => !has.has(command)).map((command) => `${id}: ${command}`);
  });
  const got = new Set(receiver.got.map(({ body }) => body));
  return [...missing, ...uploads.filter((body) => !got.has(body))];
}

async function waiting(couriers: TestCouriers): Promise<number> {
  const status = await couriers.status(VICTIM).catch(() => undefined);
  if (status === undefined) return 1;
  const { puppetdbs, receivers } = status as {
    puppetdbs: { commands: number }[];
    receivers: { reports: number }[];
  };
  return [...puppetdbs.map((one) => one.commands), ...receivers.map((one) => one.reports)].reduce(
    (sum, count) => sum + count,
    0,
  );
}

test("a courier that is killed between any two of its steps loses nothing that it took", async (t) => {
  const output = (await live(NEVER)).join("");
  const steps = Number(/steps (\d+)/.exec(output)?.[1]);
  assert.ok(steps > 50, `${steps} steps`);
  const first = 1 + (wallMs() % EVERY);
  const lives = Array.from({ length: steps }, (_, index) => index + 1).filter(
    (at) => (at - first) % EVERY === 0,
  );
  const liveOn = async () => {
    for (let at = lives.shift(); at !== undefined; at = lives.shift()) {
      await live(at).catch((error: unknown) => {
        throw new Error(`killed before step ${at} of ${steps}`, { cause: error });
      });
    }
  };
  await Promise.all(Array.from({ length: LIVES_AT_ONCE }, liveOn));
  t.diagnostic(`killed before every ${EVERY}th of ${steps} steps, from step ${first} on`);
});
