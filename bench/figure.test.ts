import assert from "node:assert/strict";
import { test } from "node:test";
import { figure } from "./figure.ts";
import { parseCpu, parseVersions } from "./machine.ts";
import { renderReport } from "./report.ts";

test("figure sets the value beside the baseline and holds it against its goal", () => {
  assert.deepEqual(figure("gap", 0.34567, "s", { baseline: 3.1, goal: { under: 0.6 } }), {
    name: "gap",
    value: 0.3457,
    unit: "s",
    baseline: 3.1,
    ratio: 0.1115,
    goal: "under 0.6",
    met: true,
  });
});

test("figure's goals hold at their edges as their words say", () => {
  const met = (value: number, goal: Parameters<typeof figure>[3]) =>
    figure("x", value, "", goal).met;
  assert.equal(met(0.6, { goal: { under: 0.6 } }), false);
  assert.equal(met(0, { goal: { atMost: 0 } }), true);
  assert.equal(met(1, { goal: { atMost: 0 } }), false);
  assert.equal(met(0.95, { goal: { atLeast: 0.95 } }), true);
  assert.equal(met(0.9, { goal: { atLeast: 0.95 }, judged: 0.96 }), true);
  assert.equal(met(5, {}), null);
});

test("figure has no ratio to a baseline of nothing", () => {
  assert.equal(figure("x", 3, "", { baseline: 0 }).ratio, null);
  assert.equal(figure("x", 3, "").ratio, null);
});

test("renderReport prints one line a figure, and on what it was measured", () => {
  const machine = { cpu: "Z80", cores: 2, memoryGiB: 23, kernel: "6.1", versions: {} };
  const figures = [
    figure("gap", 0.3, "s", { baseline: 3, goal: { under: 0.6 } }),
    figure("b", 1, ""),
  ];
  const text = renderReport({ figures, machine, trials: 10 });
  assert.match(text, /^gap +0\.3 s +3 s +0\.1 +under 0\.6 +met$/m);
  assert.match(text, /^b +1 +- +- +-$/m);
  assert.match(text, /Z80, 2 cores, 23 GiB, Linux 6\.1/);
});

test("parseCpu and parseVersions read what the system tells", () => {
  assert.equal(parseCpu("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\n"), "A CPU @ 2 GHz");
  assert.equal(parseCpu(""), "unknown");
  assert.deepEqual(parseVersions("haproxy 2.6.12-1\nkeepalived 1:2.2.7\n"), {
    haproxy: "2.6.12-1",
    keepalived: "1:2.2.7",
  });
});
