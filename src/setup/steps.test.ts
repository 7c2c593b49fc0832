import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { onInterruption, runSteps, type Step } from "./steps.ts";

const done = (title: string, giveBack?: Step["giveBack"]): Step => ({
  title,
  run: async () => undefined,
  ...(giveBack === undefined ? {} : { giveBack }),
});
const failing = (error: Error, giveBack?: Step["giveBack"]): Step => ({
  ...done("daemon", giveBack),
  run: async () => {
    throw error;
  },
});
const DEADLINE = new Fault("base.deadline", "the daemon answers: not in time", {
  hints: ["Look."],
});

test("runSteps has the step that fails give back what it holds, and says so below the failure", async () => {
  const given: string[] = [];
  const giveBack: Step["giveBack"] = async (report) => {
    report("giving back");
    given.push("puppetserver");
    return ["puppetserver runs as before"];
  };
  const lines: string[] = [];
  const steps = [done("authority", giveBack), failing(DEADLINE, giveBack), done("edge", giveBack)];
  await assert.rejects(
    runSteps(steps, (line) => lines.push(line)),
    (error) => {
      assert.ok(isFault(error, "base.deadline"));
      assert.deepEqual(error.hints, ["Look.", "puppetserver runs as before"]);
      return true;
    },
  );
  assert.deepEqual(given, ["puppetserver"]);
  assert.match(lines.join("\n"), /✓ authority.*\n.*giving back\n ✗ daemon$/);
});

test("runSteps says what was given back below what is no Fault as well", async () => {
  const step = failing(new Error("EIO: i/o error, write"), async () => ["it runs"]);
  await assert.rejects(
    runSteps([step], () => undefined),
    (error) => isFault(error, "internal") && error.message.startsWith("EIO"),
  );
});

test("runSteps leaves a failure as it is where nothing is given back", async () => {
  const silent = failing(DEADLINE, async () => []);
  for (const step of [failing(DEADLINE), silent]) {
    await assert.rejects(
      runSteps([step], () => undefined),
      (error) => error === DEADLINE,
    );
  }
});

test("runSteps that is interrupted ends its step, gives back, and begins no other", async () => {
  const stop = new AbortController();
  const ran: string[] = [];
  const step = (title: string): Step => ({
    title,
    run: async () => {
      ran.push(title);
      stop.abort();
      return undefined;
    },
    giveBack: async () => ["it runs"],
  });
  await assert.rejects(
    runSteps([step("a"), step("b")], () => undefined, stop.signal),
    (error) => isFault(error, "setup.interrupted") && error.hints.includes("it runs"),
  );
  assert.deepEqual(ran, ["a"]);
  // What agents wait for isn't left out.
  const waited = { ...step("c"), always: true };
  await assert.rejects(runSteps([waited, step("d")], () => undefined, stop.signal));
  assert.deepEqual(ran, ["a", "c"]);
});

test("runSteps tells a step what those before it took", async () => {
  let told: string[] = [];
  const last: Step = {
    title: "last",
    run: async (_report, took) => {
      told = took.map(({ what, ms }) => `${what} ${ms >= 0}`);
      return undefined;
    },
  };
  await runSteps([done("a"), done("b"), last], () => undefined);
  assert.deepEqual(told, ["a true", "b true"]);
});

test("onInterruption aborts once; a lost terminal, told of twice, ends nothing at once", () => {
  const said: string[] = [];
  const before = process.listenerCount("SIGHUP");
  const signal = onInterruption((line) => said.push(line));
  try {
    process.emit("SIGHUP", "SIGHUP");
    assert.ok(signal.aborted);
    // Without a listener the second one would end the program.
    assert.equal(process.listenerCount("SIGHUP"), before + 1);
    process.emit("SIGINT", "SIGINT");
    assert.equal(process.listenerCount("SIGINT"), 0);
  } finally {
    for (const name of ["SIGHUP", "SIGTERM"] as const) process.removeAllListeners(name);
  }
});
