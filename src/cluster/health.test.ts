import assert from "node:assert/strict";
import { test } from "node:test";
import { HEALTH_CHECKS, type HealthFacts, judgeHealth } from "./health.ts";

const SERVER: HealthFacts = {
  hung: "",
  loopAgeMs: 2000,
  role: "server",
  phase: "ready",
  leaving: false,
  drained: false,
  unfit: "",
  edge: { active: true, backends: [{ state: "up" }, { state: "down" }] },
  ca: { serving: true, ejected: false },
  courier: { runs: true, puppetdbs: [puppetdb(true), puppetdb(false)] },
  leads: true,
};
const COMPILER: HealthFacts = {
  ...SERVER,
  role: "compiler",
  edge: undefined,
  ca: undefined,
  courier: undefined,
  leads: false,
};

function puppetdb(fit: boolean) {
  return { id: "s1", fit, because: "secret", commands: 0, oldestMs: 0, deadLetters: 0 };
}

/** The checks that hold, and what the others say. */
function verdicts(facts: HealthFacts): Record<string, string> {
  return Object.fromEntries(
    HEALTH_CHECKS.map((check) => {
      const { ok, because } = judgeHealth(check, facts);
      assert.notEqual(because, "", check);
      return [check, ok ? "ok" : because];
    }),
  );
}

const WELL = { live: "ok", ready: "ok", edge: "ok", ca: "ok", puppetdb: "ok", leader: "ok" };

test("judgeHealth: each thing that is amiss fails its own check, and those that rest on it", () => {
  const no = "HAProxy takes no agents here";
  const silent = "the CA doesn't serve here";
  const hung = '"edge" has hung for 900 s';
  const old = "the control loop came round 61 s ago";
  const others: [string, Partial<HealthFacts>, Record<string, string>][] = [
    ["all is well", {}, {}],
    ["a loop hangs", { hung }, { live: hung, ready: hung }],
    ["the control loop is old", { loopAgeMs: 61_000 }, { live: old, ready: old }],
    ["the control loop is late", { loopAgeMs: 59_000 }, {}],
    ["setup", { phase: "setup" }, { ready: "this member hasn't finished setting up" }],
    ["it leaves", { leaving: true }, { ready: "this member is leaving" }],
    ["it is drained", { drained: true }, { ready: "this member is drained" }],
    ["no HAProxy", { edge: { active: false, backends: [] } }, { edge: no, ready: no }],
    ["requests are held", { edge: { active: true, backends: [{ state: "down" }] } }, {}],
    ["its own puppetserver is unfit", { unfit: "disk full" }, {}],
    ["the CA is silent", { ca: { serving: false, ejected: false } }, { ca: silent, ready: silent }],
    [
      "the CA was given back",
      { ca: { serving: false, ejected: true } },
      { ca: "the CA is stock Puppet Server's" },
    ],
    ["no courier", { courier: undefined }, { puppetdb: "no courier for PuppetDB is to run here" }],
    [
      "a courier that is down",
      { courier: { runs: false, puppetdbs: [] } },
      { puppetdb: "the courier doesn't answer" },
    ],
    [
      "no PuppetDB is fit",
      { courier: { runs: true, puppetdbs: [puppetdb(false)] } },
      { puppetdb: "no PuppetDB is fit: queries are refused, commands are kept" },
    ],
    [
      "it doesn't lead",
      { leads: false },
      { leader: "another member runs the cluster's chores, or none does" },
    ],
  ];
  for (const [what, amiss, expected] of others) {
    assert.deepEqual(verdicts({ ...SERVER, ...amiss }), { ...WELL, ...expected }, what);
  }
});

test("judgeHealth: a compiler is ready when its puppetserver gets requests, and is nothing else", () => {
  const { live, ready, ...rest } = verdicts(COMPILER);
  assert.deepEqual([live, ready], ["ok", "ok"]);
  assert.ok(Object.values(rest).every((said) => said !== "ok"));
  const unfit = judgeHealth("ready", { ...COMPILER, unfit: "/opt/secret is full" });
  assert.deepEqual(unfit, { ok: false, because: "its puppetserver gets no requests now" });
});

test("judgeHealth tells nobody a name or a message of something else", () => {
  for (const check of HEALTH_CHECKS) {
    for (const facts of [SERVER, COMPILER, { ...SERVER, unfit: "secret" }]) {
      assert.doesNotMatch(judgeHealth(check, facts).because, /secret|s1/);
    }
  }
});
