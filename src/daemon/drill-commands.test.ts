// One drill at a time against a real etcd, as several members' daemons begin them.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { isFault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { until } from "../base/retry.ts";
import { WORK_KEY } from "../cluster/keys.ts";
import { readWork, updateWork } from "../cluster/record.ts";
import { judge, three } from "../cluster/testing/status.ts";
import { drillUnderWay, withoutDrill } from "../cluster/work.ts";
import type { Note } from "./history.ts";
import { summarize } from "../drill/report.ts";
import { ACT_MS, exampleReport } from "../drill/testing/report.ts";
import { type EtcdTestCluster, startEtcdCluster } from "../etcd/testing/cluster.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { stopElsewhere } from "./drill-others.ts";
import { drillActs, toOrder, whyNotNow } from "./drill-acts.ts";
import type { Core } from "./core.ts";
import { markDrill, noDrills, noteOf } from "./drill-commands.ts";
import { startDrillSchedule, takeSlot } from "./drill-schedule.ts";

let etcd: EtcdTestCluster;
before(async () => {
  etcd = await startEtcdCluster();
});
after(async () => etcd.close());
beforeEach(async () => {
  await etcd.client().transact({ when: [], then: [{ delete: WORK_KEY }] });
});

const IDLE = { progress: () => ({ running: false, lines: [] }), stop: () => assert.fail() };

/** Begins one as the daemon of `driver` does; `notes`: what the history is told. */
async function begin(driver: string, ask: Parameters<typeof markDrill>[1], notes: Note[] = []) {
  const status = async () => ({ ...judge(three()), answeredBy: driver });
  const keeper = { loop: { wake: () => undefined } };
  const history = { note: (note: Note) => void notes.push(note) };
  return markDrill({ etcd: etcd.client(), status, keeper, history }, ask, "ops");
}

test("of drills that are begun at once from all members one is held", async () => {
  const drivers = ["s1", "s2", "s3", "s1", "s2", "s3"];
  const all = await Promise.allSettled(drivers.map(async (id) => begin(id, { kind: "edge-kill" })));
  const held = all.flatMap((each) => (each.status === "fulfilled" ? [each.value.id] : []));
  assert.equal(held.length, 1);
  for (const each of all) {
    if (each.status === "rejected")
      assert.ok(isFault(each.reason, "drill.running"), String(each.reason));
  }
  const work = await readWork(etcd.client());
  assert.equal(drillUnderWay(work, wallMs())?.id, held[0]);
});

test("the next one may begin when the mark is taken away, or has ended by itself", async () => {
  const first = await begin("s1", { kind: "edge-kill" });
  await updateWork(etcd.client(), (work) => withoutDrill(work, "000000000000"));
  await assert.rejects(begin("s2", { kind: "edge-kill" }), { code: "drill.running" });
  await updateWork(etcd.client(), (work) => withoutDrill(work, first.id));
  const second = await begin("s2", { kind: "daemon-kill" });
  await updateWork(etcd.client(), (work) => ({
    ...work,
    drill: { ...second, until: isoTime(wallMs() - 1) },
  }));
  assert.equal((await begin("s3", { kind: "edge-kill" })).driver, "s3");
});

test("the history is told that a drill begins, and nothing of one that doesn't", async () => {
  const notes: Note[] = [];
  const { id } = await begin("s1", { kind: "edge-kill", server: "s2" }, notes);
  await assert.rejects(begin("s3", { kind: "edge-kill" }, notes), { code: "drill.running" });
  assert.deepEqual(notes, [
    { kind: "drill", what: `drill edge-kill at s2 begins (${id})`, by: "ops" },
  ]);
});

test("a drill is refused for work that the record has by then, whatever the view says", async () => {
  const drain = { id: "s3", by: "ops", at: isoTime(wallMs()), reason: "" };
  await updateWork(etcd.client(), (work) => ({ ...work, drains: [drain] }));
  await assert.rejects(begin("s1", { kind: "edge-kill" }), { code: "drill.refused" });
  assert.equal((await readWork(etcd.client())).drill, undefined);
});

test("noteOf says how long it took until all was as before only where it is so", () => {
  const lastOf = (more: Parameters<typeof exampleReport>[0]) =>
    noteOf(exampleReport(more)).stages.at(-1);
  const endMs = ACT_MS + 5000;
  assert.deepEqual(lastOf({ endMs }), { what: "until all was as before", ms: 5000 });
  assert.equal(lastOf({ endMs, left: ["s1 doesn't answer"] })?.what, "no new connection");
});

test("a server does what the record says of it, and nothing else", async () => {
  const layout = { puppetserver: { unit: "puppetserver.service" } } as PuppetLayout;
  const host = { layout, etcd: etcd.client(), log: createLog(() => undefined) };
  const acts = drillActs({ ...host, node: { id: "s2" } });
  const act = { id: "0123456789ab", kind: "edge-kill" as const };
  await assert.rejects(acts.act(act), { code: "drill.not-now" });
  const { id } = await begin("s1", { kind: "edge-kill", server: "s1" });
  await assert.rejects(acts.act({ id, kind: "edge-kill" }), { code: "drill.not-now" });
  const work = await readWork(etcd.client());
  const asked = { id, kind: "edge-kill" as const, server: "s1" };
  assert.equal(whyNotNow(work, asked, wallMs()), "");
  assert.match(whyNotNow(work, { ...asked, kind: "daemon-kill" }, wallMs()), /is edge-kill/);
  assert.match(whyNotNow(work, { ...asked, id: act.id }, wallMs()), /another drill/);
  assert.match(whyNotNow(work, { ...asked, server: "s2" }, wallMs()), /at s1, not at s2/);
  assert.match(whyNotNow(work, asked, wallMs() + 3_600_000), /no drill/);
});

test("toOrder names units of this server, and a way back for each", () => {
  const of = (kind: Parameters<typeof toOrder>[0]["kind"]) =>
    toOrder({ id: "0123456789ab", kind }, "openvox.service");
  assert.equal(of("puppetserver-kill").unit, "openvox.service");
  assert.equal(of("edge-kill").unit, "understudy-edge.service");
  assert.equal(of("daemon-kill").unit, "understudy.service");
  assert.deepEqual([of("etcd-loss").do, of("etcd-loss").unit], ["lose", "understudy-etcd.service"]);
  assert.deepEqual([of("server-isolate").do, of("server-isolate").unit], ["cut", ""]);
  assert.ok(
    [of("edge-kill"), of("etcd-loss"), of("server-isolate")].every(({ holdS }) => holdS > 0),
  );
});

test("a slot is taken once, however many ask for it", async () => {
  const slot = "edge-kill 2026-12-01T10:00:00.000Z";
  const asked = await Promise.all(
    Array.from({ length: 6 }, async () => takeSlot(etcd.client(), slot)),
  );
  assert.equal(asked.filter(Boolean).length, 1);
  assert.equal(await takeSlot(etcd.client(), slot), false);
  assert.equal(await takeSlot(etcd.client(), slot.replace("10:00", "11:00")), true);
});

/** The minute that has just begun, as a schedule says it. */
function thisMinute(): string {
  return `daily ${isoTime(wallMs()).slice(11, 16)}`;
}

test("a drill that is set for a time that has just passed waits for the next one", async () => {
  const when = thisMinute();
  const settings = { drills: [] as { kind: "edge-kill"; when: string }[] };
  const stop = new AbortController();
  const loop = startDrillSchedule({
    etcd: etcd.client(),
    keeper: {
      current: () => ({ settings, work: { drains: [] } }) as never,
      record: () => ({ reachable: true }) as never,
    },
    node: { id: "s1" },
    drills: { own: IDLE, begin: async () => assert.fail("nobody wanted it now") },
    history: { note: () => undefined },
    leads: () => true,
    log: createLog(() => undefined),
    signal: stop.signal,
  });
  const looked = async () => {
    const before = loop.last();
    loop.wake();
    await until("a look", () => loop.last() !== before, { withinMs: 10_000 });
  };
  await looked();
  settings.drills = [{ kind: "edge-kill", when }];
  await looked();
  await looked();
  stop.abort();
  await loop.ended;
  assert.equal(loop.last()?.ok, true, loop.last()?.because);
  assert.equal((await readWork(etcd.client())).drilled, undefined);
});

test("two members that both think they lead hold a scheduled drill once; a refused one is told", async () => {
  const when = thisMinute();
  const settings = { ...judge(three()).settings, drills: [{ kind: "edge-kill" as const, when }] };
  const began: string[] = [];
  const notes: Note[] = [];
  const stop = new AbortController();
  const loops = ["s1", "s2"].map((id) =>
    startDrillSchedule({
      etcd: etcd.client(),
      keeper: {
        current: () => ({ settings, work: { drains: [] } }) as never,
        record: () => ({ reachable: true }) as never,
      },
      node: { id },
      drills: {
        own: IDLE,
        async begin({ kind }) {
          began.push(`${kind} by ${id}`);
          return { id: (await begin(id, { kind, server: "s9" })).id, server: "s9" };
        },
      },
      history: { note: (note) => void notes.push(note) },
      leads: () => true,
      log: createLog(() => undefined),
      signal: stop.signal,
    }),
  );
  const bothLooked = () => loops.every((loop) => loop.last() !== undefined);
  await until("both loops", bothLooked, { withinMs: 10_000 });
  stop.abort();
  await Promise.all(loops.map(async ({ ended }) => ended));
  assert.equal(began.length, 1);
  assert.match(notes[0]?.because ?? "", /s9 is no member/);
});

test("a daemon that is started anew takes away the mark of the drill that it drove, and no other", async () => {
  const mark = await begin("s1", { kind: "edge-kill" });
  const old = { ...mark, at: isoTime(wallMs() - 60_000) };
  await updateWork(etcd.client(), (work) => ({ ...work, drill: old }));
  const notes: Note[] = [];
  const tickOf = async (id: string) => {
    const stop = new AbortController();
    const loop = startDrillSchedule({
      etcd: etcd.client(),
      node: { id },
      keeper: {
        current: () => ({ settings: {}, work: { drains: [], drill: old } }) as never,
        record: () => ({ reachable: true }) as never,
      },
      drills: { own: IDLE, begin: async () => assert.fail() },
      history: { note: (note) => void notes.push(note) },
      leads: () => false,
      log: createLog(() => undefined),
      signal: stop.signal,
    });
    await until("a look", () => loop.last() !== undefined, { withinMs: 10_000 });
    stop.abort();
    await loop.ended;
  };
  await tickOf("s2");
  assert.equal((await readWork(etcd.client())).drill?.id, mark.id);
  assert.equal(notes.length, 0);
  await tickOf("s1");
  assert.equal((await readWork(etcd.client())).drill, undefined);
  const [note, ...more] = notes;
  assert.deepEqual(more, []);
  assert.ok(note?.what.includes(mark.id), note?.what);
  assert.match(note?.because ?? "", /its driver's daemon ended/);
});

test("a member that is no server shows what servers have of drills, and says who doesn't answer", async () => {
  const report = exampleReport();
  const answers: Record<string, unknown> = {
    "/v1/drills": { reports: [summarize(report)] },
    [`/v1/drills/${report.id}`]: { report },
    "/v1/drill": { running: true, lines: ["waits"] },
  };
  const members = three().map(({ member }) => ({ ...member, address: member.id }));
  const drill = { ...report, at: "", until: isoTime(wallMs() + 60_000), driver: "s2" };
  const peers = {
    async call(address: string, path: string) {
      return address === "s2" ? answers[path] : Promise.reject(new Error("no answer in time"));
    },
  };
  const keeper = { current: () => ({ members, work: { drains: [], drill } }) };
  const drills = noDrills({ node: { id: "w1" }, keeper, peers } as unknown as Core);
  const { reports, missing } = await drills.reports();
  assert.deepEqual([reports.map(({ id }) => id), missing], [[report.id], ["s1", "s3"]]);
  assert.equal((await drills.report(report.id)).report.id, report.id);
  await assert.rejects(drills.report("ffffffffffff"), { code: "drill.unknown" });
  assert.deepEqual((await drills.progress()).lines, ["waits"]);
  await assert.rejects(drills.begin({ kind: "edge-kill" }, "ops"), { code: "drill.not-here" });
});

test("stopping a drill whose driver is silent says what becomes of it", async () => {
  const until = isoTime(wallMs() + 60_000);
  const drill = { ...exampleReport(), at: "", until, driver: "s2" };
  const keeper = {
    current: () => ({
      members: three().map(({ member }) => member),
      work: { drains: [], drill },
    }),
  };
  const peers = { call: async () => Promise.reject(new Error("no answer in time")) };
  const core = { node: { id: "s1" }, keeper, peers } as unknown as Core;
  await assert.rejects(stopElsewhere(core, "ops"), (error) => {
    assert.ok(isFault(error, "drill.not-stopped"));
    assert.match(error.message, /s2.*no answer in time/);
    assert.ok(error.hints.some((hint) => hint.includes(until)));
    return true;
  });
});
