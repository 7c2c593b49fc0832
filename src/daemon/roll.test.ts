// The driver of a roll against a real etcd: two members lead at once and by turns.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { readWork, updateWork } from "../cluster/record.ts";
import { Member } from "../cluster/schema.ts";
import { answer, edge, judge, local, NOW_MS, row, silent } from "../cluster/testing/status.ts";
import { isOut, newestRoll, NO_WORK, type Roll, rollUnderWay, withRoll } from "../cluster/work.ts";
import { type View } from "../cluster/view.ts";
import { ACT_MS } from "../cluster/roll.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { RELOADING } from "./puppetserver-reload.ts";
import { leftApart, rollFacts, type RollHost, startRollLoop } from "./roll.ts";
import { rollCommands } from "./roll-commands.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());

const IDS = ["s1", "s2", "s3"];
const WAIT = { withinMs: 30_000, everyMs: 50 };

/** Three servers whose edges follow the record at once, and whose puppetservers start at once. */
function createWorld() {
  const starts = new Map(IDS.map((id) => [id, 1]));
  const restarted: string[] = [];
  const upgraded: string[] = [];
  const moved: string[] = [];
  let holder = "s1";
  const clock = { isRight: true };
  const broken = new Set<string>();
  const refusing = new Set<string>();
  const log = createLog(() => undefined);
  const status = async () => {
    const work = await readWork(etcd.client());
    const rows = IDS.map((id) =>
      row(id, { state: isOut(work, id, Date.now()) ? "drained" : "up" }),
    );
    const members = IDS.map((id) => {
      const addresses = id === holder ? ["10.0.0.10"] : [];
      return answer(id, local(id, { addresses, edge: edge({ backends: rows }) }));
    });
    return { ...judge(members), work };
  };
  const commands = rollCommands({ etcd: etcd.client(), log, status, wake: () => undefined });

  /** One member's driver, which leads until `stop`. */
  const drive = () => {
    const stop = new AbortController();
    const client = etcd.client();
    const listeners: (() => void)[] = [];
    let view = { members: [], work: NO_WORK } as unknown as View;
    const refresh = async () => {
      const { members, work } = await status();
      view = { ...view, members: members.map(({ member }) => member), work };
      for (const listener of listeners) listener();
    };
    const keeper = {
      current: () => view,
      record: () => ({ reachable: true, because: "", ageMs: 0, ageIsMost: false }),
      onChange: (listener: () => void) => listeners.push(listener),
      loop: { wake: () => void refresh() },
    } as unknown as RollHost["keeper"];
    const loop = startRollLoop({
      etcd: client,
      keeper,
      status,
      leads: () => true,
      clockIsRight: () => clock.isRight,
      hands: {
        unit: async ({ id }) => {
          const active = broken.has(id) && restarted.includes(id) ? "failed" : "active";
          return { active, result: "exit-code", invocation: String(starts.get(id)) };
        },
        running: async () => 0,
        unwell: async () => "",
        warm: async () => "",
        restart: async ({ id }, { was }) => {
          if (refusing.has(id)) throw new Error("Unit puppetserver.service is masked");
          if (String(starts.get(id)) !== was) return;
          starts.set(id, (starts.get(id) ?? 0) + 1);
          restarted.push(id);
        },
        job: async ({ id }, key) => {
          const ran = upgraded.includes(`${id} ${key}`);
          const state = ran ? (broken.has(id) ? "failed" : "done") : "none";
          return { state, because: broken.has(id) ? "dpkg failed" : "" };
        },
        handOver: async (addresses, heirs) => {
          moved.push(`${addresses.join()} from ${holder}`);
          holder = heirs[0] ?? holder;
          return { breaks: "" };
        },
        upgrade: async ({ id }, key) => {
          if (!upgraded.includes(`${id} ${key}`)) upgraded.push(`${id} ${key}`);
        },
      },
      log,
      signal: stop.signal,
    });
    void refresh();
    const end = async () => {
      stop.abort();
      await loop.ended;
    };
    const looked = async () => {
      const beforeMs = loop.last()?.endedMs ?? 0;
      loop.wake();
      await until("a look", () => (loop.last()?.endedMs ?? 0) > beforeMs, WAIT);
    };
    return { refresh, looked, end };
  };
  return { commands, drive, restarted, upgraded, moved, broken, refusing, clock };
}

const wish = { names: [], rest: false, reason: "", force: false };
const ended = async () => {
  const work = await readWork(etcd.client());
  const roll = newestRoll(work);
  return rollUnderWay(work) === undefined ? roll : undefined;
};

/** An upgrade of all three, as its command writes it. */
function upgradeRoll(): Roll {
  const packages = [{ name: "haproxy", from: "2.6-1", to: "2.6-2" }];
  const at = new Date().toISOString();
  return {
    key: randomUUID(),
    does: "upgrade",
    upgrade: { parts: ["haproxy"], servers: IDS.map((id) => ({ id, packages, moves: true })) },
    by: "ops",
    at,
    reason: "",
    ids: IDS,
    force: false,
    done: [],
    until: at,
    stop: false,
  };
}

async function untilEnded(drivers: { refresh(): Promise<void> }[]): Promise<Roll> {
  const look = async () => {
    for (const driver of drivers) await driver.refresh();
    return ended();
  };
  return until("the roll's end", look, WAIT);
}

test("puppetservers beside the packaged one are left as they are by what restarts that", () => {
  const member = Member.parse({
    id: "s1",
    role: "server",
    address: "10.0.0.1",
    phase: "ready",
    mayVote: true,
    version: "1.0.0",
    joinedAt: "2026-11-20T12:00:00Z",
    backends: [
      { name: "puppetserver", port: 8141 },
      { name: "second", port: 8151 },
    ],
  });
  const upgradeOf = (name: string) => ({
    does: "upgrade" as const,
    upgrade: {
      parts: [],
      servers: [{ id: "s1", packages: [{ name, from: "1", to: "2" }], moves: false }],
    },
  });
  assert.deepEqual(leftApart({ does: "restart" }, member), ["second"]);
  assert.deepEqual(leftApart(upgradeOf("puppetserver"), member), ["second"]);
  assert.deepEqual(leftApart(upgradeOf("puppetdb-termini"), member), ["second"]);
  assert.deepEqual(leftApart(upgradeOf("haproxy"), member), []);
});

test("startRollLoop takes each server once, also with two drivers; begun twice it is one roll", async () => {
  const world = createWorld();
  const [one, two] = await Promise.all([
    world.commands.begin(wish, "ops"),
    world.commands.begin(wish, "ops"),
  ]);
  assert.equal(one.roll.key, two.roll.key);
  assert.notEqual(one.already, two.already);
  const drivers = [world.drive(), world.drive()];
  const roll = await untilEnded(drivers);
  assert.equal(roll.end?.how, "done");
  assert.deepEqual(world.restarted, IDS);
  for (const driver of drivers) await driver.end();
});

test("a restart under way of other servers isn't taken for the one that is wished", async () => {
  const world = createWorld();
  await world.commands.begin({ ...wish, names: ["s1"] }, "ops");
  assert.equal((await world.commands.begin({ ...wish, names: ["s1"] }, "ops")).already, true);
  const refusal = { code: "roll.refused" };
  await assert.rejects(world.commands.begin({ ...wish, names: ["s3"] }, "ops"), refusal);
  await assert.rejects(world.commands.begin(wish, "ops"), refusal, "all of them");
  const driver = world.drive();
  await untilEnded([driver]);
  assert.deepEqual(world.restarted, ["s1"]);
  await driver.end();
});

test("startRollLoop goes on where a former driver stopped", async () => {
  const world = createWorld();
  await world.commands.begin(wish, "ops");
  const first = world.drive();
  await until("the first restart", () => world.restarted.length > 0, WAIT);
  await first.end();
  const second = world.drive();
  assert.equal((await untilEnded([second])).end?.how, "done");
  assert.deepEqual(world.restarted, IDS);
  await second.end();
});

test("startRollLoop halts at the first that fails, and --rest takes those that were left", async () => {
  const world = createWorld();
  world.broken.add("s2");
  await world.commands.begin(wish, "ops");
  const driver = world.drive();
  const halted = await untilEnded([driver]);
  assert.equal(halted.end?.how, "halted");
  assert.deepEqual(world.restarted, ["s1", "s2"]);
  assert.equal(isOut({ drains: [], roll: halted }, "s2", Date.now()), false);
  world.broken.clear();
  const { roll } = await world.commands.begin({ ...wish, rest: true }, "ops");
  assert.deepEqual(roll.ids, ["s2", "s3"]);
  assert.equal((await untilEnded([driver])).end?.how, "done");
  assert.deepEqual(world.restarted, ["s1", "s2", "s2", "s3"]);
  await driver.end();
});

test("startRollLoop goes on looking where its act is refused, and halts with the reason", async () => {
  const world = createWorld();
  world.refusing.add("s1");
  const { roll } = await world.commands.begin(wish, "ops");
  const since = new Date(Date.now() - ACT_MS + 4000).toISOString();
  const now = { id: "s1", step: "act" as const, since, was: "1", note: "" };
  await updateWork(etcd.client(), (work) => withRoll(work, { ...roll, now }));
  const driver = world.drive();
  const halted = await untilEnded([driver]);
  assert.match(halted.end?.because ?? "", /doesn't restart after 6m: .* is masked/);
  assert.deepEqual(world.restarted, []);
  await driver.end();
});

test("startRollLoop upgrades each server once, also with two drivers, and halts where one fails", async () => {
  const world = createWorld();
  const first = upgradeRoll();
  await updateWork(etcd.client(), (work) => withRoll(work, first));
  const refusal = { code: "roll.refused" };
  await assert.rejects(world.commands.begin(wish, "ops"), refusal, "a restart in its midst");
  const drivers = [world.drive(), world.drive()];
  const roll = await untilEnded(drivers);
  assert.equal(roll.end?.how, "done", roll.end?.because);
  assert.deepEqual(
    world.upgraded,
    IDS.map((id) => `${id} ${first.key}`),
  );
  assert.deepEqual(world.restarted, []);
  assert.equal(roll.done[0]?.note, "haproxy 2.6-2");
  // One driver may find it moved by the other.
  assert.deepEqual(
    [...new Set(world.moved)],
    ["10.0.0.10 from s1", "10.0.0.10 from s2"],
    "each gives it away before its turn",
  );
  world.broken.add("s2");
  const second = upgradeRoll();
  await updateWork(etcd.client(), (work) => withRoll(work, second));
  const halted = await untilEnded(drivers);
  assert.deepEqual([halted.end?.how, halted.end?.because], ["halted", "dpkg failed"]);
  assert.deepEqual(
    halted.done.map(({ id }) => id),
    ["s1"],
  );
  for (const driver of drivers) await driver.end();
});

test("a roll that is stopped before it began does nothing", async () => {
  const world = createWorld();
  await world.commands.begin(wish, "ops");
  await world.commands.stop("ops");
  const driver = world.drive();
  assert.equal((await untilEnded([driver])).end?.how, "stopped");
  assert.deepEqual(world.restarted, []);
  await driver.end();
});

test("startRollLoop takes ended drains out of the record, by a right clock only", async () => {
  const world = createWorld();
  world.clock.isRight = false;
  const over = new Date(Date.now() - 3_600_000).toISOString();
  const drain = { id: "s1", by: "ops", at: over, reason: "", until: over };
  await updateWork(etcd.client(), (work) => ({ ...work, drains: [drain] }));
  const driver = world.drive();
  await driver.refresh();
  await driver.looked();
  assert.equal((await readWork(etcd.client())).drains.length, 1);
  world.clock.isRight = true;
  const tidy = async () => {
    await driver.refresh();
    return (await readWork(etcd.client())).drains.length === 0;
  };
  await until("a tidy record", tidy, WAIT);
  await driver.end();
});

test("rollFacts tells what edges that answer see, and who else serves", () => {
  const seen = (rows: ReturnType<typeof row>[]) =>
    IDS.map((id) => answer(id, local(id, { edge: edge({ backends: rows }) })));
  const facts = (members: ReturnType<typeof answer>[], work = NO_WORK) =>
    rollFacts({ ...judge(members), work }, "s2", NOW_MS);
  const well = facts(seen(IDS.map((id) => row(id, { busy: 1 }))));
  const expected = {
    sent: true,
    running: 3,
    back: true,
    unseen: "",
    others: 2,
    serves: true,
    quorumWithout: true,
    paused: false,
  };
  assert.deepEqual(well, { ...expected, busyElsewhere: "" });
  const out = [row("s1"), row("s2", { state: "drained" }), row("s3")];
  assert.deepEqual(
    [facts(seen(out)).sent, facts(seen(out)).back, facts(seen(out)).unseen],
    [false, false, ""],
  );
  const drain = { id: "s2", by: "ops", at: "", reason: "" };
  assert.equal(facts(seen(out), { drains: [drain] }).back, true, "somebody keeps it out");
  const until = new Date(NOW_MS + 60_000).toISOString();
  const pause = { scope: "server", id: "s2", by: "ops", at: "", reason: "", until };
  assert.equal(facts(seen(out), { drains: [], pauses: [pause] }).paused, true);
  const down = [row("s1"), row("s2", { state: "starting", because: "503" }), row("s3")];
  assert.match(facts(seen(down)).unseen, /edge sees it as starting: 503/);
  assert.equal(facts([silent("s1"), silent("s2"), silent("s3")]).back, false, "nobody tells");
  const rest = [answer("s1"), answer("s3")];
  const witness = answer("s2", local("s2", { role: "witness" }), { backends: [] });
  const { serves, back } = rollFacts(judge([...rest, witness]), "s2", NOW_MS);
  assert.deepEqual([serves, back], [false, true], "no edge has to send it anything");
  const lost = judge(seen(IDS.map((id) => row(id))), { answering: 2 });
  assert.equal(rollFacts(lost, "s2", NOW_MS).quorumWithout, false, "another voter is missing");
  const one = judge(seen(IDS.map((id) => row(id))), { voters: 1, answering: 1 });
  assert.equal(rollFacts(one, "s2", NOW_MS).quorumWithout, true, "there is only one");
  const loading = answer("s3", local("s3"), {
    backends: [{ name: "puppetserver", port: 1, jrubies: 1, unfit: RELOADING }],
  });
  assert.equal(facts([answer("s1"), answer("s2"), loading]).busyElsewhere, "s3");
});
