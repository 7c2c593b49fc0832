// A roll that upgrades: what it does at each point, and that no interruption makes it upgrade two
// servers at once, one of them never or anything twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  BACK_MS,
  DRAIN_MS,
  DRIVEN_MS,
  isSamePoint,
  MOVE_MS,
  PATIENCE_MS,
  planRoll,
  type RollAction,
  type RollSeen,
  rollTarget,
  UPGRADE_MS,
  WELL_MS,
  type UpgradeJob,
  withAction,
} from "./roll.ts";
import { isWithoutAddresses, outNow, type Roll, type RollStep } from "./work.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const IDS = ["s1", "s2", "s3"];
const WELL = ["daemon", "record", "etcd", "edge", "puppetserver"];
const PACKAGES = [{ name: "haproxy", from: "2.6-1", to: "2.6-2" }];
const ago = (ms: number) => new Date(NOW_MS - ms).toISOString();

function roll(more: Partial<Roll> = {}): Roll {
  return {
    key: "k",
    does: "upgrade",
    upgrade: {
      parts: ["haproxy"],
      servers: IDS.map((id) => ({ id, packages: PACKAGES, moves: true })),
    },
    by: "ops",
    at: ago(1000),
    reason: "",
    ids: IDS,
    force: false,
    done: [],
    until: ago(-DRIVEN_MS),
    stop: false,
    ...more,
  };
}

const at = (step: RollStep, forMs = 1000, more: Partial<Roll> = {}, was = WELL.join(" ")) =>
  roll({ now: { id: "s1", step, since: ago(forMs), was, note: "" }, ...more });

const job = (state: UpgradeJob["state"], because = "") => ({ job: { state, because } });

const SEEN: RollSeen = {
  member: true,
  unit: { active: "active", result: "success", invocation: "1" },
  serves: true,
  ...job("none"),
  addresses: [],
  well: WELL,
  quorumWithout: true,
  sent: true,
  running: 0,
  unwell: "",
  back: true,
  others: 2,
  busyElsewhere: "",
  paused: false,
  lackingMs: 0,
  movingMs: 0,
  refused: "",
};

const out = { sent: false };
const held = { addresses: ["10.0.0.10"] };
const silent = { job: undefined };
const lapsed = { until: ago(0) };
const without = (part: string) => ({ well: WELL.filter((each) => each !== part) });
const broken = at("return", 0, {}, "daemon record etcd edge");
const failedUnit = { unit: { active: "failed", result: "exit-code", invocation: "1" } };
const CASES: [string, Roll, Partial<RollSeen>, string | undefined][] = [
  ["begins with the first", roll(), {}, "begin"],
  ["has its addresses moved first", roll(), held, "move"],
  [
    "leaves them to keepalived where that is refused",
    roll({ at: ago(MOVE_MS) }),
    { ...held, movingMs: MOVE_MS },
    "begin",
  ],
  ["has them moved also when it had to wait before", roll({ at: ago(MOVE_MS) }), held, "move"],
  ["waits for another voter", roll(), { quorumWithout: false }, undefined],
  [
    "halts where that voter doesn't come back",
    roll({ at: ago(PATIENCE_MS) }),
    { quorumWithout: false, lackingMs: PATIENCE_MS },
    "end halted: s1: another voter of etcd is missing",
  ],
  ["takes one that serves nobody without others", roll(), { serves: false, others: 0 }, "begin"],
  ["waits for the addresses to go", at("drain"), { ...out, ...held }, undefined],
  ["upgrades when nothing runs there", at("drain"), out, "advance act"],
  ["upgrades where nobody takes the address", at("drain", DRAIN_MS), held, "advance act"],
  ["begins apt", at("act"), out, "act"],
  ["waits for apt", at("act"), job("runs"), undefined],
  ["waits while the daemon restarts", at("act"), silent, undefined],
  ["goes on with one that was interrupted", at("act"), job("none", "interrupted"), "act"],
  ["drains anew before it begins apt", at("act", 1000, lapsed), {}, "advance drain"],
  ["renews while apt works", at("act", 1000, lapsed), job("runs"), "renew"],
  ["begins no apt where it is paused", at("act"), { ...out, paused: true }, "end halted"],
  [
    "waits for apt where it is paused meanwhile",
    at("act"),
    { ...job("runs"), paused: true },
    undefined,
  ],
  [
    "halts where its act is refused for longer than the limit",
    at("act", UPGRADE_MS),
    { ...out, refused: "no space left" },
    "end halted: it isn't upgraded after 30m: no space left",
  ],
  ["sees that it is done", at("act"), job("done"), "advance return"],
  ["halts with apt's words", at("act"), job("failed", "no network"), "end halted: no network"],
  ["halts where apt hangs", at("act", UPGRADE_MS), job("runs", "apt works"), "end halted"],
  ["halts where the daemon is lost", at("act", UPGRADE_MS), silent, "end halted"],
  ["waits for what was well", at("return"), without("etcd"), undefined],
  [
    "halts where something isn't well again",
    at("return", WELL_MS),
    without("etcd"),
    "end halted: it isn't as it was before after 15m: not well: etcd",
  ],
  ["waits for the puppetserver", at("return"), { unwell: "starting" }, undefined],
  ["halts where the puppetserver dies", at("return"), failedUnit, "end halted"],
  [
    "doesn't wait for what was broken before",
    broken,
    { unwell: "no", ...failedUnit },
    "advance back",
  ],
  [
    "is done with one whose puppetserver was none",
    { ...broken, now: broken.now && { ...broken.now, step: "back" } },
    { back: false },
    "finish",
  ],
  ["waits until edges send it requests", at("back"), { back: false }, undefined],
  ["halts where they don't", at("back", BACK_MS), { back: false }, "end halted"],
  ["is done with one", at("back"), {}, "finish"],
];

function verb(action: RollAction | undefined): string | undefined {
  if (action?.do === "advance") return `advance ${action.step}`;
  return action?.do === "end" ? `end ${action.how}: ${action.because}` : action?.do;
}

for (const [what, given, seen, expected] of CASES) {
  test(`planRoll, upgrading, ${what}`, () => {
    const said = verb(planRoll(given, { ...SEEN, ...seen }, NOW_MS));
    if (expected === "end halted") assert.match(said ?? "", /^end halted: /);
    else assert.equal(said, expected);
  });
}

test("planRoll notes what a server has now", () => {
  const action = planRoll(at("act"), { ...SEEN, ...job("done") }, NOW_MS);
  assert.equal(action?.do === "advance" && action.note, "haproxy 2.6-2");
});

test("isWithoutAddresses: a server whose HAProxy is upgraded gives its addresses away, and only then", () => {
  const is = (now: Roll) => isWithoutAddresses({ drains: [], upgrade: now }, "s1", NOW_MS);
  assert.deepEqual(
    (["drain", "act", "return", "back"] as const).map((step) => is(at(step))),
    [true, true, true, false],
  );
  assert.equal(is(at("act", 0, lapsed)), false, "nobody drives it");
  const quiet = { parts: ["etcd"], servers: [{ id: "s1", packages: [], moves: false }] };
  assert.equal(is(at("act", 0, { upgrade: quiet })), false);
});

interface Server {
  id: string;
  sent: boolean;
  running: number;
  /** For how long apt still works. */
  apt: number;
  job: UpgradeJob["state"];
  /** For how long its daemon is away. */
  awayFor: number;
}

/** Three servers whose apt works for a while, is killed with them, and restarts their daemons. */
class World {
  record = roll({ at: ago(0) });
  nowMs = NOW_MS;
  installs: string[] = [];
  servers = new Map<string, Server>(
    IDS.map((id) => [id, { id, sent: true, running: 3, apt: 0, job: "none", awayFor: 0 }]),
  );

  of(id: string) {
    const server = this.servers.get(id);
    assert.ok(server);
    return server;
  }

  see(id: string | undefined): RollSeen {
    if (id === undefined) return SEEN;
    const { sent, running, job: state, awayFor } = this.of(id);
    const away = awayFor > 0;
    const others = [...this.servers.values()].filter((each) => each.sent && each.id !== id);
    return {
      ...SEEN,
      job: away ? undefined : { state, because: "" },
      sent,
      running,
      well: away ? [] : WELL,
      back: sent,
      others: others.length,
    };
  }

  /** What the server's own daemon checks before it starts apt. */
  act(decided: Roll) {
    const { now, until, end } = this.record;
    if (end !== undefined || now?.step !== "act" || now.id !== decided.now?.id) return;
    const server = this.of(now.id);
    if (Date.parse(until) <= this.nowMs || server.awayFor > 0 || server.job !== "none") return;
    const others = [...this.servers.values()].filter((each) => each !== server);
    assert.ok(
      others.every((each) => each.job !== "runs"),
      "two at once",
    );
    assert.ok(
      others.some(({ sent }) => sent),
      "nobody else gets requests",
    );
    assert.ok(!server.sent || server.running === 0, "requests run there");
    server.job = "runs";
    server.apt = 6;
  }

  write(decided: Roll, action: RollAction) {
    if (!isSamePoint(this.record, decided)) return;
    this.record = withAction(this.record, action, this.nowMs);
  }

  /** The server under way loses power: apt is gone with it, and what it is told stays. */
  crash() {
    const server = this.servers.get(this.record.now?.id ?? "");
    if (server === undefined) return;
    server.awayFor = 5;
    if (server.job === "runs") server.job = "none";
  }

  pass(seconds: number) {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000;
      const away = outNow({ drains: [], upgrade: this.record }, this.nowMs).map(({ id }) => id);
      for (const server of this.servers.values()) {
        server.awayFor = Math.max(0, server.awayFor - 1);
        if (server.job === "runs") {
          server.apt -= 1;
          // Its own package restarts the daemon before apt is through.
          if (server.apt === 2) server.awayFor = 2;
          if (server.apt === 0) {
            server.job = "done";
            this.installs.push(server.id);
          }
        }
        server.sent = !away.includes(server.id) && server.awayFor === 0;
        server.running = server.sent ? 2 : Math.max(0, server.running - 1);
      }
    }
  }
}

interface Sight {
  record: Roll;
  seen: RollSeen;
  nowMs: number;
}

function look(world: World): Sight {
  const { record, nowMs } = world;
  return { record, nowMs, seen: world.see(rollTarget(record)) };
}

/** One round of a driver that decided on what it saw; `dies` before it does that, or after. */
function drive(world: World, dies: "no" | "before" | "between", sight = look(world)) {
  const action = planRoll(sight.record, sight.seen, sight.nowMs);
  if (action === undefined || dies === "before") return;
  if (action.do === "act") world.act(sight.record);
  else if (dies === "no") world.write(sight.record, action);
}

test("planRoll: however often driver, daemon or power fail, each server is upgraded once, one at a time", () => {
  const events = fc.array(
    fc.record({
      dies: fc.constantFrom("no" as const, "no" as const, "before" as const, "between" as const),
      /** A second driver, which acts on what it saw so many rounds ago; 0: there is none. */
      late: fc.constantFrom(0, 0, 1, 2, 3, 5, 8),
      seconds: fc.constantFrom(0, 1, 1, 2, 4, 9, 30, 130),
      crash: fc.constantFrom(false, false, false, true),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(events, (list) => {
      const world = new World();
      const sights: Sight[] = [];
      for (const { dies, late, seconds, crash } of list) {
        sights.push(look(world));
        drive(world, dies);
        const former = sights.at(-late);
        if (late > 0 && former !== undefined) drive(world, "no", former);
        if (crash) world.crash();
        world.pass(seconds);
      }
      for (let round = 0; round < 200 && world.record.end === undefined; round++) {
        drive(world, "no");
        world.pass(1);
      }
      // One that had to wait for too long may have halted: never more than it said.
      const { end, done, now } = world.record;
      if (end?.how === "done") assert.deepEqual(world.installs, IDS);
      else assert.equal(end?.how, "halted");
      const whole = [...done.map(({ id }) => id), ...(now === undefined ? [] : [now.id])];
      assert.deepEqual(world.installs, whole.slice(0, world.installs.length));
      assert.ok(world.installs.length >= done.length, "what is done is upgraded");
    }),
    { numRuns: 500 },
  );
});
