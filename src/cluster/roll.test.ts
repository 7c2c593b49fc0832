import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import {
  ACT_MS,
  BACK_MS,
  DRAIN_MS,
  DRIVEN_MS,
  isLacking,
  isSamePoint,
  LOADING_MS,
  PATIENCE_MS,
  planRoll,
  RETURN_MS,
  type RollAction,
  type RollSeen,
  rollTarget,
  withAction,
} from "./roll.ts";
import { outNow, type Roll, type RollStep } from "./work.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const ago = (ms: number) => new Date(NOW_MS - ms).toISOString();

function roll(more: Partial<Roll> = {}): Roll {
  return {
    key: "k",
    does: "restart",
    by: "ops",
    at: ago(1000),
    reason: "",
    ids: ["s1", "s2"],
    force: false,
    done: [],
    until: ago(-DRIVEN_MS),
    stop: false,
    ...more,
  };
}

const at = (step: RollStep, forMs = 1000, more: Partial<Roll> = {}) =>
  roll({ now: { id: "s1", step, since: ago(forMs), was: "old", note: "" }, ...more });

const unit = (active: string, invocation: string, result = "success") => ({
  active,
  result,
  invocation,
});

const WELL: RollSeen = {
  member: true,
  unit: unit("active", "old"),
  sent: true,
  running: 0,
  unwell: "",
  back: true,
  others: 1,
  busyElsewhere: "",
  serves: true,
  addresses: [],
  well: [],
  quorumWithout: true,
  paused: false,
  lackingMs: 0,
  movingMs: 0,
  refused: "",
};

const drained = { sent: false };
const started = { unit: unit("active", "new") };
const silent = { unit: undefined };
const stop = { stop: true };
const lapsed = { until: ago(0) };
const paused = { paused: true };
const forLong = { lackingMs: PATIENCE_MS };
const CASES: [string, Roll, Partial<RollSeen>, string | undefined][] = [
  ["begins with the first", roll(), {}, "begin"],
  ["waits while another one loads by itself", roll(), { busyElsewhere: "s2" }, undefined],
  [
    "halts where that never ends",
    roll({ at: ago(LOADING_MS) }),
    { busyElsewhere: "s2" },
    "end halted",
  ],
  ["waits a moment for somebody else to serve", roll(), { others: 0 }, undefined],
  ["halts without anybody else", roll(), { others: 0, ...forLong }, "end halted"],
  [
    "waits for somebody else also when it had waited before",
    roll({ at: ago(PATIENCE_MS) }),
    { others: 0 },
    undefined,
  ],
  ["goes on without anybody else by force", roll({ force: true }), { others: 0 }, "begin"],
  ["halts before a daemon that is silent", roll(), { ...silent, ...forLong }, "end halted"],
  ["skips who was removed", roll(), { member: false }, "skip"],
  ["halts before one that is paused", roll(), paused, "end halted"],
  ["is stopped between two", roll(stop), {}, "end stopped"],
  [
    "is done",
    roll({
      done: [
        { id: "s1", at: "", note: "" },
        { id: "s2", at: "", note: "" },
      ],
    }),
    {},
    "end done",
  ],
  ["does nothing any more", roll({ end: { how: "done", at: "", because: "" } }), {}, undefined],

  [
    "says that it is driven while it waits for one that loads",
    roll({ at: ago(120_000), until: ago(-1000) }),
    { busyElsewhere: "s3" },
    "renew",
  ],

  ["waits until edges have followed", at("drain"), {}, undefined],
  ["waits for running requests", at("drain"), { ...drained, running: 2 }, undefined],
  ["acts when nothing runs", at("drain"), drained, "advance act"],
  ["waits while nobody can tell", at("drain"), { ...drained, untold: true }, undefined],
  ["and no longer than that", at("drain", DRAIN_MS), { ...drained, untold: true }, "advance act"],
  [
    "acts after the longest that an agent waits",
    at("drain", DRAIN_MS),
    { running: 2 },
    "advance act",
  ],
  ["stops before the act", at("drain", 0, stop), drained, "end stopped"],
  [
    "doesn't act when all others are gone",
    at("drain", PATIENCE_MS),
    { ...drained, others: 0, ...forLong },
    "end halted",
  ],
  [
    "isn't halted by one look in the midst of a drain",
    at("drain", PATIENCE_MS),
    { ...drained, others: 0 },
    undefined,
  ],

  ["halts at one that is paused meanwhile", at("drain"), { ...drained, ...paused }, "end halted"],
  ["doesn't restart what is paused", at("act"), { ...drained, ...paused }, "end halted"],
  [
    "waits for one that was paused in its restart",
    at("return"),
    { ...paused, unwell: "no" },
    undefined,
  ],
  [
    "renews while its act is refused",
    at("act", ACT_MS / 2, { until: ago(-1000) }),
    drained,
    "renew",
  ],

  ["restarts", at("act"), drained, "act"],
  ["waits for its stop", at("act"), { unit: unit("deactivating", "old") }, undefined],
  ["waits for its start", at("act"), { unit: unit("activating", "new") }, undefined],
  ["waits for a daemon that is away", at("act"), silent, undefined],
  ["sees that it has started", at("act"), started, "advance return"],
  ["isn't stopped between stop and start", at("act", 0, stop), started, "advance return"],
  ["halts where it fails", at("act"), { unit: unit("failed", "new", "exit-code") }, "end halted"],
  ["halts where it hangs", at("act", ACT_MS), { unit: unit("activating", "new") }, "end halted"],
  ["halts where nothing comes of it", at("act", ACT_MS), {}, "end halted"],
  ["halts where the daemon is lost", at("act", ACT_MS), silent, "end halted"],
  ["drains anew when it was away", at("act", 1000, lapsed), {}, "advance drain"],

  ["waits until it answers", at("return"), { ...started, unwell: "starting" }, undefined],
  ["sends it requests when it is well", at("return"), started, "advance back"],
  [
    "halts where it doesn't answer",
    at("return", RETURN_MS),
    { ...started, unwell: "no" },
    "end halted",
  ],
  [
    "halts where it dies again",
    at("return"),
    { unit: unit("failed", "new"), unwell: "no" },
    "end halted",
  ],
  ["renews what it drains", at("return", 0, { until: ago(-1000) }), { unwell: "no" }, "renew"],
  ["begins to wait anew when it was away", at("drain", 0, lapsed), drained, "advance drain"],

  ["waits until every edge sends it requests", at("back"), { ...started, back: false }, undefined],
  ["is done with one", at("back"), started, "finish"],
  ["halts where it isn't used again", at("back", BACK_MS), { back: false }, "end halted"],
  ["is done with one that was removed", at("act"), { member: false }, "finish"],
];

const verb = (action: RollAction | undefined) => {
  if (action?.do === "advance") return `advance ${action.step}`;
  return action?.do === "end" ? `end ${action.how}` : action?.do;
};

for (const [what, given, seen, expected] of CASES) {
  test(`planRoll ${what}`, () => {
    assert.equal(verb(planRoll(given, { ...WELL, ...seen }, NOW_MS)), expected);
  });
}

test("a server that is done names its puppetservers that were left as they are", () => {
  const left = 'its puppetserver "second" goes on as it was: restart it by hand';
  for (const note of ["", "2 requests still ran"]) {
    const now = { id: "s1", step: "back" as const, since: ago(1000), was: "old", note };
    const action = planRoll(roll({ now }), { ...WELL, ...started, apart: ["second"] }, NOW_MS);
    const noted = note === "" ? left : `${note}; ${left}`;
    assert.deepEqual(action, {
      do: "finish",
      note: noted,
      because: "edges send it requests again",
    });
  }
});

test("isLacking leaves out what another one's loading makes lack, before a server's turn", () => {
  const alone = { ...WELL, others: 0 };
  assert.equal(isLacking(roll(), WELL), false);
  assert.equal(isLacking(roll(), alone), true);
  assert.equal(isLacking(roll(), { ...alone, busyElsewhere: "s2" }), false);
  assert.equal(isLacking(at("drain"), { ...alone, busyElsewhere: "s2" }), true);
});

test("isSamePoint: what was decided on one point of a roll doesn't hold for another", () => {
  const base = at("drain");
  assert.equal(isSamePoint({ ...base, until: ago(0), stop: true }, base), true);
  const others = [
    undefined,
    at("act"),
    at("drain", 2000),
    { ...base, key: "another" },
    { ...base, done: [{ id: "s0", at: "", note: "" }] },
    withAction(base, { do: "end", how: "stopped", because: "" }, NOW_MS),
  ];
  for (const other of others) assert.equal(isSamePoint(other, base), false);
});

test("withAction: a look from before the drain ended doesn't lead to the act", () => {
  const late = at("drain", 1000, lapsed);
  const action = { do: "advance", step: "act", because: "" } as const;
  assert.equal(withAction(late, action, NOW_MS), late);
  assert.equal(withAction(at("drain"), action, NOW_MS).now?.step, "act");
});

/** The last record of a roll whose act is refused each time, with how often it was tried. */
function refusedAlways(first: Roll, seen: RollSeen): { last: Roll; acts: number } {
  let record = first;
  let acts = 0;
  for (let nowMs = NOW_MS; record.end === undefined && nowMs < NOW_MS + 6 * 3_600_000;) {
    const action = planRoll(
      record,
      { ...seen, refused: acts > 0 ? "the disk is full" : "" },
      nowMs,
    );
    if (action?.do === "act") acts += 1;
    else if (action !== undefined) record = withAction(record, action, nowMs);
    nowMs += 1500;
  }
  return { last: record, acts };
}

test("planRoll halts with the reason when its act has been refused for longer than the limit", () => {
  const { last, acts } = refusedAlways(at("act", 0), { ...WELL, ...drained });
  assert.equal(last.end?.how, "halted");
  assert.match(last.end?.because ?? "", /doesn't restart after 6m: the disk is full/);
  assert.ok(Date.parse(last.end?.at ?? "") - NOW_MS < ACT_MS + 2000, "at its limit");
  assert.ok(acts > 1, "it is tried again");
});

/** Three servers, a record, and drivers that see both a moment late and die at any point. */
class World {
  record = roll({ ids: ["s1", "s2", "s3"], at: ago(0) });
  nowMs = NOW_MS;
  restarts: string[] = [];
  servers = new Map(
    ["s1", "s2", "s3"].map((id) => [id, { id, starts: 0, downFor: 0, sent: true, running: 3 }]),
  );

  of(id: string) {
    const server = this.servers.get(id);
    assert.ok(server);
    return server;
  }

  see(id: string | undefined): RollSeen {
    if (id === undefined) return WELL;
    const { starts, downFor, sent, running } = this.of(id);
    const up = [...this.servers.values()].filter((each) => each.sent && each.downFor === 0);
    const was = downFor > 4 ? starts - 1 : starts;
    const active = downFor > 4 ? "deactivating" : downFor > 0 ? "activating" : "active";
    return {
      ...WELL,
      unit: unit(active, String(was)),
      sent,
      running,
      unwell: downFor > 0 ? "it starts" : "",
      back: sent,
      others: up.filter((each) => each.id !== id).length,
    };
  }

  /** What the server's own daemon checks before it restarts puppetserver. */
  act(decided: Roll) {
    const { now, until, end } = this.record;
    if (end !== undefined || now?.step !== "act" || now.id !== decided.now?.id) return;
    const server = this.of(now.id);
    if (now.was !== String(server.starts) || Date.parse(until) <= this.nowMs) return;
    const others = [...this.servers.values()].filter((each) => each !== server);
    assert.ok(
      others.every(({ downFor }) => downFor === 0),
      "two at once",
    );
    assert.ok(
      others.some(({ sent }) => sent),
      "nobody else gets requests",
    );
    assert.ok(!server.sent || server.running === 0, "requests run there");
    server.starts += 1;
    server.downFor = 8;
    this.restarts.push(server.id);
  }

  write(decided: Roll, action: RollAction) {
    if (!isSamePoint(this.record, decided)) return;
    this.record = withAction(this.record, action, this.nowMs);
  }

  pass(seconds: number) {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1000;
      const out = outNow({ drains: [], roll: this.record }, this.nowMs).map(({ id }) => id);
      for (const server of this.servers.values()) {
        server.downFor = Math.max(0, server.downFor - 1);
        server.sent = !out.includes(server.id) && server.downFor === 0;
        if (server.sent) server.running = 2;
        else server.running = Math.max(0, server.running - 1);
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

test("planRoll: however often its driver dies or doubles, each server restarts once, one at a time", () => {
  const events = fc.array(
    fc.record({
      dies: fc.constantFrom("no" as const, "no" as const, "before" as const, "between" as const),
      /** A second driver, which acts on what it saw so many rounds ago; 0: there is none. */
      late: fc.constantFrom(0, 0, 1, 2, 3, 5, 8),
      seconds: fc.constantFrom(0, 1, 1, 2, 4, 9, 30, 130),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(events, (list) => {
      const world = new World();
      const sights: Sight[] = [];
      for (const { dies, late, seconds } of list) {
        sights.push(look(world));
        drive(world, dies);
        const former = sights.at(-late);
        if (late > 0 && former !== undefined) drive(world, "no", former);
        world.pass(seconds);
      }
      for (let round = 0; round < 200 && world.record.end === undefined; round++) {
        drive(world, "no");
        world.pass(1);
      }
      // One that had to wait for too long may have halted: never more than it said.
      const { end, done, now } = world.record;
      if (end?.how === "done") assert.deepEqual(world.restarts, ["s1", "s2", "s3"]);
      else assert.equal(end?.how, "halted");
      const whole = [...done.map(({ id }) => id), ...(now === undefined ? [] : [now.id])];
      assert.deepEqual(world.restarts, whole.slice(0, world.restarts.length));
      assert.ok(world.restarts.length >= done.length, "what is done has restarted");
    }),
    { numRuns: 500 },
  );
});
