// How far an upgrade of this server is, as the daemon judges it from two files and a unit.

import assert from "node:assert/strict";
import { test } from "node:test";
import { UNITS } from "../host/paths.ts";
import { renewUnit } from "./job.ts";
import { packagesOf, PACKAGES, PARTS, movesAddresses, unitsOf } from "./parts.ts";
import { judgeJob, TRIES_MAX } from "./unit.ts";

const ORDER = { key: "k", packages: [], starts: {}, tries: 1 };
const done = { key: "k", state: "done" as const, because: "" };

test("judgeJob: begun, interrupted, done, failed, or another one's", () => {
  const cases: [string, Parameters<typeof judgeJob>, string][] = [
    ["nothing there", ["k", undefined, undefined, false], "none"],
    ["another roll's", ["k", { ...ORDER, key: "j" }, { ...done, key: "j" }, false], "none"],
    ["apt works", ["k", ORDER, undefined, true], "runs"],
    ["apt works for a former one", ["k", { ...ORDER, key: "j" }, undefined, true], "runs"],
    ["interrupted", ["k", ORDER, undefined, false], "none"],
    ["again and again", ["k", { ...ORDER, tries: TRIES_MAX }, undefined, false], "failed"],
    ["done", ["k", ORDER, done, false], "done"],
    ["failed", ["k", ORDER, { ...done, state: "failed", because: "no" }, false], "failed"],
  ];
  for (const [what, given, state] of cases) assert.equal(judgeJob(...given).state, state, what);
});

test("parts: each has packages, etcd restarts first, what holds addresses is known", () => {
  for (const part of PARTS) assert.ok(packagesOf([part]).length > 0, part);
  const order = unitsOf(Object.keys(PACKAGES));
  assert.equal(order[0], "understudy-etcd.service");
  assert.equal(order.at(-1), "puppetserver.service");
  assert.equal(new Set(order).size, order.length);
  assert.deepEqual(
    [movesAddresses(["etcd-server"]), movesAddresses(["keepalived"])],
    [false, true],
  );
});

test("renewUnit starts once more what failed to start, but no edge that took no reload", async () => {
  const did = async (name: string, failing: readonly string[]) => {
    const verbs: string[] = [];
    const renewed = renewUnit(name, async (verb) => {
      verbs.push(verb);
      if (failing.includes(verb)) throw new Error(`${verb} failed`);
    });
    const end = await renewed.then(
      () => "ok",
      () => "failed",
    );
    return [...verbs, end];
  };
  const name = "puppetserver.service";
  assert.deepEqual(await did(name, []), ["restart", "ok"]);
  assert.deepEqual(await did(name, ["restart"]), ["restart", "start", "ok"]);
  assert.deepEqual(await did(name, ["restart", "start"]), ["restart", "start", "failed"]);
  const reload = "reload-or-restart";
  assert.deepEqual(await did(UNITS.edge, [reload]), [reload, "failed"]);
});
