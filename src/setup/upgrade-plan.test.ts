import assert from "node:assert/strict";
import { test } from "node:test";
import { isFault } from "../base/fault.ts";
import { answer, edge, judge, local, NOW_MS, row, three } from "../cluster/testing/status.ts";
import type { PackageStep } from "../cluster/work.ts";
import type { UpgradeLook } from "../upgrade/look.ts";
import { type Looks, planUpgrade, renderUpgradePlan, requireAllowed } from "./upgrade-plan.ts";

const HAPROXY = { name: "haproxy", from: "2.6.12-1", to: "2.6.12-2" };
const SSL = { name: "libssl3", from: "3.0.11-1", to: "3.0.15-1" };
const etcd = (from: string, to: string) => ({ name: "etcd-server", from, to });

function look(changes: PackageStep[], more: Partial<UpgradeLook> = {}): UpgradeLook {
  const installed = changes.map(({ name, from }) => {
    return { name, version: from, held: false, whole: true };
  });
  return { apt: true, installed, changes, removes: [], lists: "", problem: "", ...more };
}

/** The same on each of the three, but for `id`. */
function looks(changes: PackageStep[], id = "", other?: UpgradeLook | { silent: string }): Looks {
  const all = ["s1", "s2", "s3"].map((name) => {
    return [name, name === id && other !== undefined ? other : look(changes)] as const;
  });
  return new Map(all);
}

const everything = { parts: [], names: [] };
const plan = (given: Looks, wish: Parameters<typeof planUpgrade>[2] = everything) =>
  planUpgrade(judge(three()), given, wish, NOW_MS);

test("planUpgrade says per server what becomes what, and what is left meanwhile", () => {
  const planned = plan(looks([SSL, HAPROXY]));
  assert.equal(planned.refused, "");
  assert.deepEqual(
    planned.steps.map(({ id }) => id),
    ["s1", "s2", "s3"],
  );
  assert.deepEqual(planned.steps[0], {
    id: "s1",
    packages: [HAPROXY],
    others: [SSL],
    addresses: ["10.0.0.10"],
    left: 8,
    now: 12,
  });
  const text = renderUpgradePlan(planned);
  assert.match(text, /^1 +s1 +haproxy 2\.6\.12-1 → 2\.6\.12-2 +8 of 12$/m);
  assert.match(text, /^ +and 1 package that they need$/m);
  assert.match(text, /where a switchover is refused .* open to 10\.0\.0\.10 break when it moves/);
});

test("planUpgrade leaves out who has nothing to upgrade, and parts that weren't named", () => {
  const some = plan(looks([HAPROXY], "s2", look([])));
  assert.deepEqual(
    some.steps.map(({ id }) => id),
    ["s1", "s3"],
  );
  const nothing = plan(looks([HAPROXY]), { parts: ["etcd"], names: [] });
  assert.deepEqual(nothing.steps, []);
  assert.match(renderUpgradePlan(nothing), /^Nothing to upgrade: .* nothing newer of etcd\.$/m);
  const one = plan(looks([HAPROXY]), { parts: [], names: ["s3"] });
  assert.deepEqual(
    one.steps.map(({ id }) => id),
    ["s3"],
  );
});

test("planUpgrade takes the server whose etcd leads last", () => {
  const leads = { etcd: { ...local("s1").etcd, runs: "leader" as const } };
  const planned = planUpgrade(judge(three("s1", leads)), looks([HAPROXY]), everything, NOW_MS);
  assert.deepEqual(
    planned.steps.map(({ id }) => id),
    ["s2", "s3", "s1"],
  );
});

test("planUpgrade refuses what no force makes right", () => {
  const older = { name: "haproxy", from: "2.8.0-1", to: "2.6.12-1" };
  const cases: [string, Looks, RegExp][] = [
    ["a downgrade", looks([older]), /haproxy would become older: 2\.8\.0-1 → 2\.6\.12-1/],
    ["another packaging", looks([HAPROXY], "s2", look([], { apt: false })), /s2 has no apt/],
    ["apt's no", looks([], "s2", look([], { problem: "broken" })), /s2: broken/],
    ["nobody there", looks([], "s2", { silent: "no answer" }), /s2 can't be asked.*no answer/],
    ["a removal", looks([], "s2", look([HAPROXY], { removes: ["nginx"] })), /remove nginx/],
    ["two minors of etcd", looks([etcd("3.4.23-4", "3.6.1-1")]), /one minor version at a time/],
    ["another major of etcd", looks([etcd("3.4.23-4", "4.0.0-1")]), /one minor version at a time/],
    [
      "an etcd that another one is behind of",
      looks([etcd("3.5.1-1", "3.6.0-1")], "s3", look([etcd("3.4.2-1", "3.4.9-1")])),
      /etcd 3\.4\.2-1 → 3\.6\.0-1/,
    ],
  ];
  for (const [what, given, because] of cases) {
    assert.throws(
      () => plan(given),
      (error) => isFault(error, "upgrade.refused") && because.test(String(error)),
      what,
    );
  }
  assert.equal(plan(looks([etcd("3.4.23-4", "3.5.9-1")])).steps.length, 3, "one minor is fine");
  const paused = { scope: "server", id: "s2", by: "ops", at: "", reason: "", until: "2099-01-01" };
  const status = judge(three(), {}, { drains: [], pauses: [paused] });
  const given = looks([HAPROXY]);
  const refused = { code: "upgrade.refused" };
  assert.throws(() => planUpgrade(status, given, everything, NOW_MS), refused);
  const { id: _, ...addresses } = { ...paused, scope: "addresses" };
  const still = judge(three(), {}, { drains: [], pauses: [addresses] });
  assert.throws(() => planUpgrade(still, given, everything, NOW_MS), refused, "one has to move");
  const quiet = looks([etcd("3.4.1-1", "3.4.2-1")]);
  assert.equal(planUpgrade(still, quiet, everything, NOW_MS).steps.length, 3, "none has to");
});

test("planUpgrade is refused without force where nobody else serves, or lists are old", () => {
  const only = edge({ backends: [row("s1")] });
  const single = judge([answer("s1", local("s1", { edge: only }))], { voters: 1, answering: 1 });
  const alone = planUpgrade(
    single,
    looks([HAPROXY, etcd("3.4.1-1", "3.4.2-1")]),
    everything,
    NOW_MS,
  );
  assert.match(alone.refused, /while s1 is upgraded no other puppetserver gets requests/);
  assert.match(alone.risks.join("\n"), /etcd has one voter/);
  const stale = plan(looks([HAPROXY], "s2", look([HAPROXY], { lists: "no network" })));
  assert.match(stale.refused, /^s2 can't read its archives' lists anew: no network/);
  const old = plan(looks([], "s2", look([], { lists: "no network" })));
  assert.match(
    renderUpgradePlan(old),
    /^Nothing to upgrade is known: s2 can't read .*no network\.$/,
  );
  const witness = answer("w1", local("w1", { role: "witness" }), { backends: [] });
  const four = judge([...three(), witness]);
  const looksOfFour = new Map([...looks([]), ["w1", look([etcd("3.4.1-1", "3.4.2-1")])] as const]);
  assert.equal(planUpgrade(four, looksOfFour, everything, NOW_MS).refused, "", "it serves nobody");
});

test("planUpgrade says what is odd: held packages, another major version, archives that differ", () => {
  const server = { name: "puppetserver", from: "7.9.5-2", to: "8.0.0-1" };
  const held = { name: "keepalived", version: "1:2.2.7-1", held: true, whole: true };
  const other = look([{ ...HAPROXY, to: "2.6.12-3" }], { installed: [held] });
  const { notes, risks } = plan(looks([HAPROXY, server], "s3", other));
  assert.deepEqual(notes, ["s3: keepalived stays at 1:2.2.7-1: it is held (apt-mark unhold)"]);
  assert.match(risks.join("\n"), /puppetserver 7\.9\.5-2 → 8\.0\.0-1 is another major version/);
  assert.match(risks.join("\n"), /archives differ: haproxy becomes 2\.6\.12-2 and 2\.6\.12-3/);
});

test("requireAllowed refuses what a plan refuses, and shows it, unless it is forced", () => {
  const stale = plan(looks([HAPROXY], "s2", look([HAPROXY], { lists: "no network" })));
  assert.throws(
    () => requireAllowed(stale, false),
    (error) =>
      isFault(error, "upgrade.refused") &&
      /no network/.test(error.message) &&
      /haproxy 2\.6\.12-1 → 2\.6\.12-2/.test(error.hints.join("\n")) &&
      error.hints.at(-1)?.endsWith("--force") === true,
  );
  requireAllowed(stale, true);
  requireAllowed(plan(looks([HAPROXY])), false);
});
