import assert from "node:assert/strict";
import { test } from "node:test";
import { Fault, isFault } from "../base/fault.ts";
import { givingBack } from "./give-back.ts";
import { runSteps, type Step } from "./steps.ts";

const step = (title: string, run: Step["run"]): Step => ({ title, run });
const done = (title: string) => step(title, async () => undefined);

test("givingBack gives puppetserver back at the step that fails, and says so below the failure", async () => {
  const given: string[] = [];
  const fails = step("daemon", async () => {
    throw new Fault("base.deadline", "the daemon answers: not within 60000 ms", {
      hints: ["Look."],
    });
  });
  const steps = givingBack([done("certificate authority"), fails, done("edge")], async (report) => {
    report("giving back");
    given.push("puppetserver");
    return ["puppetserver runs as before"];
  });
  const lines: string[] = [];
  await assert.rejects(
    runSteps(steps, (line) => lines.push(line)),
    (error) => {
      assert.ok(isFault(error, "base.deadline"));
      assert.deepEqual(error.hints, ["Look.", "puppetserver runs as before"]);
      return true;
    },
  );
  assert.deepEqual(given, ["puppetserver"]);
  assert.match(lines.join("\n"), /✓ certificate authority.*\n.*giving back\n ✗ daemon$/);
});

test("givingBack names what isn't a Fault as well", async () => {
  const fails = step("edge", async () => {
    throw new Error("EIO: i/o error, write");
  });
  await assert.rejects(
    runSteps(
      givingBack([fails], async () => ["it runs"]),
      () => undefined,
    ),
    (error) => isFault(error, "internal") && error.message.startsWith("EIO"),
  );
});

test("givingBack leaves steps that succeed alone", async () => {
  const steps = givingBack([done("a"), done("b")], async () => assert.fail("nothing failed"));
  await runSteps(steps, () => undefined);
});
