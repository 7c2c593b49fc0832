import assert from "node:assert/strict";
import { test } from "node:test";
import type { Incident, IncidentLine } from "../cluster/history/incident.ts";
import type { Explanation } from "../cluster/why/explain.ts";
import { renderIncident } from "./incident.ts";
import { renderExplanation } from "./why.ts";

const NOW_MS = Date.parse("2026-11-20T12:00:00Z");

function line(more: Partial<IncidentLine> = {}): IncidentLine {
  return {
    atMs: NOW_MS + 7,
    member: "s1",
    kind: "member",
    what: "s3 joins",
    because: "",
    by: "",
    alsoSeenBy: [],
    uncorrected: false,
    ...more,
  };
}

function incident(lines: IncidentLine[], more: Partial<Incident> = {}): Incident {
  return {
    sinceMs: NOW_MS,
    untilMs: NOW_MS + 3_600_000,
    answeredBy: "s1",
    members: [{ member: "s1", offsetMs: 3, leftOut: 0 }],
    missing: [],
    recordBecause: "",
    lines,
    more: 0,
    ...more,
  };
}

test("renderIncident is a table of what happened, with whom else saw it and how often", () => {
  const text = renderIncident(
    incident([
      line({ alsoSeenBy: ["s2"], by: "root (alice)" }),
      line({ what: "reload", times: 3, lastMs: NOW_MS + 60_000, uncorrected: true }),
    ]),
  );
  assert.match(text, /^# What happened from 2026-11-20 12:00:00 to 2026-11-20 13:00:00 UTC$/m);
  assert.match(
    text,
    /^\| 2026-11-20 12:00:00\.007 \| s1 \| member \| s3 joins \\\[seen by s2 too\\\] \| root \(alice\) \|$/m,
  );
  assert.match(text, /^\| .*007 \(\?\) \| .* reload \\\[3 times, last 12:01:00\\\] \| - \|$/m);
  assert.match(text, /^\(\?\): from the record/m);
});

test("renderIncident names who couldn't be asked, wrong clocks, and a record that couldn't be read", () => {
  const text = renderIncident(
    incident([], {
      members: [{ member: "s2", offsetMs: -3210, leftOut: 5 }],
      missing: [{ member: "s3", because: "no answer in time" }],
      recordBecause: "no quorum",
    }),
  );
  assert.match(text, /^- s2 was asked: its clock is 3\.2 s behind, corrected; 5 older entries/m);
  assert.match(text, /^- \*\*s3 couldn't be asked\*\* \(no answer in time\)/m);
  assert.match(text, /^- The record couldn't be read \(no quorum\)/m);
  assert.match(text, /^Nothing was recorded\.$/m);
});

test("renderIncident lets no text out of its cell", () => {
  const text = renderIncident(
    incident([
      line({ what: "a | b\n| c <script>", because: "![x](http://evil) `code`", by: "\u001b[1m" }),
    ]),
  );
  const [row = ""] = text.split("\n").slice(-1);
  assert.equal(row.match(/(?<!\\)\|/g)?.length, 6);
  assert.match(row, /a \\\| b\\\\u\{a\}\\\| c \\<script\\>: !\\\[x\\\]\(http/);
  assert.ok(!text.includes("\u001b"));
});

test("renderExplanation shows verdict, evidence and what to type, and escapes all of it", () => {
  const explanation: Explanation = {
    about: "vip",
    verdict: "held by s1\u001b[2J",
    evidence: [
      { atMs: NOW_MS, source: "s1: history", what: "s1 holds it" },
      { source: "s2: now", what: "its edge\nis up" },
    ],
    todo: ["understudy status"],
    missing: [{ member: "s3", because: "no answer in time" }],
  };
  const text = renderExplanation(explanation);
  assert.match(text, /^held by s1\\u\{1b\}\[2J$/m);
  assert.match(text, /^2026-11-20 12:00:00 {2}s1: history {2}s1 holds it$/m);
  assert.match(text, /^now +s2: now +its edge\\u\{a\}is up$/m);
  assert.match(text, /^! s3 couldn't be asked: no answer in time$/m);
  assert.match(text, /^→ understudy status$/m);
});
