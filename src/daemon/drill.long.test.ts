// A whole drill against a real server on loopback that is killed and comes back: what was measured,
// what is undone, what the report says.

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { Fault } from "../base/fault.ts";
import { createLog } from "../base/log.ts";
import { pause } from "../base/retry.ts";
import { edge, judge, row, three } from "../cluster/testing/status.ts";
import type { ClusterStatus, MemberAnswer } from "../cluster/status.ts";
import { steadyClock } from "../drill/probe.ts";
import { renderHtml } from "../drill/render-html.ts";
import { DrillReport } from "../drill/report.ts";
import { TestServer } from "../drill/testing/server.ts";
import { type DrillHost, holdDrill } from "./drill.ts";

const AWAY_MS = 1500;
/** More looks than the drill takes while it measures. */
const AWAY_LOOKS = 20;
const RUN = { id: "0123456789ab", kind: "edge-kill" as const, server: "s1", by: "ops" };
const NEVER = new AbortController().signal;

let server: TestServer;
let calls: string[];
let status: ClusterStatus;
beforeEach(async () => {
  server = new TestServer();
  await server.start();
  calls = [];
  status = judge(three());
});
afterEach(async () => server.kill());

function host(more: Partial<DrillHost> = {}): DrillHost {
  const kill = async () => {
    calls.push("act");
    await server.kill();
    void pause(AWAY_MS).then(async () => server.start());
    return { agoMs: 0 };
  };
  return {
    driver: "s2",
    status: async () => status,
    glance: async () => new Map(),
    access: async () => server.access,
    actsOf: () => ({ act: kill, undo: async () => void calls.push("undo") }),
    switchover: {
      plan: async () => assert.fail(),
      run: async ({ to = "s2" }) => {
        calls.push(`move to ${to}`);
        return {
          from: "s1",
          to,
          already: false,
          addresses: ["127.0.0.1"],
          holders: [],
          connections: 1,
          tookMs: 20,
          limitS: 60,
        };
      },
      progress: () => ({ lines: [] }),
      stop: () => undefined,
    },
    now: steadyClock(),
    log: createLog(() => undefined),
    ...more,
  };
}

/** Has `id` hold the address. */
function holding(id: string) {
  return (each: MemberAnswer): MemberAnswer =>
    each.member.id === id && each.local !== undefined
      ? { ...each, local: { ...each.local, addresses: ["10.0.0.10"] } }
      : each;
}

test("holdDrill measures what was away, undoes it, and leaves nothing worse", async () => {
  const report = await holdDrill(host(), RUN, () => undefined, NEVER);
  assert.equal(report.outcome, "done", report.because);
  assert.deepEqual(calls, ["act", "undo"]);
  assert.deepEqual(report.left, []);
  const { figures } = report;
  assert.equal(figures?.outages.length, 1);
  // It is away for that long at least; how much longer is the machine's.
  assert.ok((figures?.outageMs ?? 0) >= AWAY_MS - 50, `${figures?.outageMs} ms`);
  assert.ok((figures?.detectedMs ?? Infinity) < (figures?.takeoverMs ?? 0));
  assert.ok((figures?.connects.failed ?? 0) > 0 && figures?.broken === 1);
  assert.equal(figures?.steady.connects.failed, 0);
  assert.ok(server.asked.every(({ certname }) => certname === "understudy-probe.s1.test"));
  assert.ok(DrillReport.safeParse(report).success);
  assert.match(renderHtml(report), /<circle class="failed"/);
});

test("holdDrill does nothing where the synthetic agent gets nothing before", async () => {
  server.answer = () => ({ status: 500, text: '{"message":"Evaluation Error"}' });
  const report = await holdDrill(host(), RUN, () => undefined, NEVER);
  assert.equal(report.outcome, "failed");
  assert.match(report.because, /nothing was done.*500: Evaluation Error/);
  assert.deepEqual(calls, []);
  assert.equal(report.figures, undefined);
});

test("holdDrill that is stopped undoes what it did, and waits until that is back", async () => {
  const stop = new AbortController();
  const tell = (line: string) => {
    if (line.startsWith("waits until")) stop.abort("by ops");
  };
  let looks = 0;
  const worse = judge(three("s1", { edge: edge({ active: false, because: "killed" }) }));
  const stopped = host({
    status: async () => {
      looks += 1;
      return calls.includes("undo") && looks % 3 !== 0 ? worse : status;
    },
  });
  const report = await holdDrill(stopped, RUN, tell, stop.signal);
  assert.deepEqual([report.outcome, report.because, report.left], ["stopped", "by ops", []]);
  assert.deepEqual(calls, ["act", "undo"]);
});

test("holdDrill undoes also where the answer to its act is lost", async () => {
  const lost = host({
    actsOf: () => ({
      act: async () => {
        calls.push("act");
        throw new Error("no answer in time");
      },
      undo: async () => void calls.push("undo"),
    }),
  });
  const report = await holdDrill(lost, RUN, () => undefined, NEVER);
  assert.deepEqual([report.outcome, report.because], ["failed", "no answer in time"]);
  assert.deepEqual(calls, ["act", "undo"]);
});

test("holdDrill undoes nothing where the server refused to do it", async () => {
  const refusing = host({
    actsOf: () => ({
      act: async () => {
        throw new Fault("drill.refused", "puppetdb.service is inactive here");
      },
      undo: async () => assert.fail("it would be started"),
    }),
  });
  const report = await holdDrill(refusing, RUN, () => undefined, NEVER);
  assert.deepEqual([report.outcome, report.figures], ["failed", undefined]);
});

test("holdDrill moves addresses there and back, and finds no connection broken", async () => {
  const report = await holdDrill(host(), { ...RUN, kind: "vip-move" }, () => undefined, NEVER);
  assert.equal(report.outcome, "done", report.because);
  assert.deepEqual(calls, ["move to s3", "move to s1"]);
  assert.ok((report.figures?.kept.count ?? 0) > 0);
  assert.deepEqual([report.figures?.outageMs, report.figures?.broken], [0, 0]);
});

test("holdDrill isn't over while an address that it moved hasn't come back", async () => {
  const { switchover } = host();
  let looks = 0;
  const away = judge(three("s1", { addresses: [] }).map(holding("s3")));
  const report = await holdDrill(
    host({
      switchover: {
        ...switchover,
        run: async (ask) => {
          if (ask.to === "s1") throw new Fault("switchover.running", "another one is running");
          return switchover.run(ask);
        },
      },
      status: async () => {
        if (!calls.includes("move to s3")) return status;
        looks += 1;
        return looks < AWAY_LOOKS ? away : status;
      },
    }),
    { ...RUN, kind: "vip-move" },
    () => undefined,
    NEVER,
  );
  assert.deepEqual([report.outcome, report.because], ["failed", "another one is running"]);
  assert.deepEqual([report.left, looks >= AWAY_LOOKS], [[], true]);
});

test("holdDrill tells what servers said meanwhile, and counts what edges sent on", async () => {
  let looks = 0;
  const report = await holdDrill(
    host({
      glance: async () =>
        new Map([["held", calls.includes("act") ? "s1 holds nothing" : "s1 holds it"]]),
      status: async () => {
        looks += 1;
        const replays = looks < 4 ? 5 : 8;
        return judge(
          three("s2", { edge: edge({ replays, backends: [row("s1"), row("s2"), row("s3")] }) }),
        );
      },
    }),
    RUN,
    () => undefined,
    NEVER,
  );
  assert.ok(report.steps.some(({ what }) => what === "s1 holds nothing"));
  assert.equal(report.figures?.replays, 3);
});
