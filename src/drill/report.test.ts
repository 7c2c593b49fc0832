import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { binsOf, DrillReport } from "./report.ts";
import { escape, renderChart, renderHtml } from "./render-html.ts";
import { renderList, renderReport } from "./render-text.ts";
import { REPORTS_MAX, reportStore } from "./store.ts";
import { exampleReport, exampleSamples, sample, START_MS } from "./testing/report.ts";

const folder = await mkdtemp(join(tmpdir(), "understudy-drills-"));
after(async () => rm(folder, { recursive: true, force: true }));

test("makeReport cuts everything to its bounds", () => {
  const samples = exampleSamples();
  const catalogs = Array.from({ length: 5000 }, (_, index) => sample(index, 1));
  const sightings = Array.from({ length: 900 }, (_, index) => ({
    atMs: START_MS + index,
    what: "x".repeat(900),
  }));
  const report = exampleReport({
    samples: { ...samples, catalogs, sightings },
    left: Array.from({ length: 90 }, () => "y".repeat(900)),
    because: "z".repeat(900),
  });
  assert.ok(DrillReport.safeParse(report).success);
});

test("binsOf counts each connection once, however long it lasted", () => {
  const { connects } = exampleSamples();
  for (const lengthMs of [10_000, 100_000, 3_600_000]) {
    const { bins } = binsOf(connects, START_MS, START_MS + lengthMs);
    assert.equal(
      bins.reduce((sum, { count }) => sum + count, 0),
      connects.length,
    );
    assert.equal(
      bins.reduce((sum, { failed }) => sum + failed, 0),
      4,
    );
  }
});

test("renderHtml shows the figures and a chart, and needs neither scripts nor anything from elsewhere", () => {
  const html = renderHtml(exampleReport());
  assert.match(html, /<svg /);
  assert.match(html, /500 ms at most, once/);
  assert.match(html, /4 failed<\/th><td>ECONNREFUSED/);
  assert.match(html, /default-src 'none'; style-src 'unsafe-inline'/);
  assert.doesNotMatch(html, /<script|javascript:|\son\w+=|(src|href)=|url\(|@import|http:|https:/i);
  // Every element that is opened is closed.
  for (const name of ["html", "head", "body", "main", "svg", "table", "ol", "tr", "td", "li"]) {
    const opened = html.match(new RegExp(`<${name}[ >]`, "g"))?.length ?? 0;
    assert.equal(html.match(new RegExp(`</${name}>`, "g"))?.length ?? 0, opened, name);
  }
});

test("renderHtml escapes every text that comes from elsewhere", () => {
  const evil = `<script>alert("1")</script>'&`;
  const samples = {
    ...exampleSamples(),
    connects: [sample(5100, 1, evil)],
    sightings: [{ atMs: START_MS, what: evil }],
  };
  const { figures } = exampleReport();
  const html = renderHtml(
    exampleReport({
      samples,
      server: evil,
      driver: evil,
      by: evil,
      target: evil,
      because: evil,
      outcome: "failed",
      left: [evil],
      steps: [{ atMs: START_MS, what: evil }],
      figures: figures && { ...figures, reasons: [{ because: evil, count: 1 }], detectedBy: evil },
    } as Parameters<typeof exampleReport>[0]),
  );
  assert.doesNotMatch(html, /<script/);
  assert.ok(html.split(escape(evil)).length > 8);
});

test("renderChart stays a chart without a sample, and without an act", () => {
  const empty = { connects: [], catalogs: [], kept: [], sightings: [], replays: 0 };
  const { actMs: _, ...told } = exampleReport({ samples: empty, endMs: START_MS });
  assert.doesNotMatch(renderChart(told), /NaN|Infinity|undefined/);
  assert.doesNotMatch(renderHtml(told), /NaN|Infinity/);
});

test("renderReport and renderList let nothing of what others say move the cursor", () => {
  const evil = "\u001b[2J";
  const report = exampleReport({ left: [evil], server: evil, by: evil });
  assert.ok(!renderReport(report).includes(evil));
  const { id, kind, server, driver, by, outcome, because, startMs, endMs } = report;
  const told = { id, kind, server, driver, by, outcome, because, startMs, endMs, left: 1 };
  assert.ok(!renderList([told]).includes(evil));
  assert.match(renderList([told]), /not as before/);
});

test("reportStore keeps the newest ones, newest first, and minds no file that it can't read", async () => {
  const store = reportStore(folder);
  assert.deepEqual(await store.list(), []);
  for (let index = 0; index < REPORTS_MAX + 2; index += 1) {
    const id = index.toString(16).padStart(12, "0");
    await store.keep({ ...exampleReport(), id, startMs: START_MS + index });
  }
  await writeFile(join(folder, `${"9".repeat(14)}-${"a".repeat(12)}.json`), "{");
  await writeFile(join(folder, "notes.txt"), "mine");
  const list = await store.list();
  assert.equal(list.length, REPORTS_MAX);
  assert.equal(list[0]?.id, (REPORTS_MAX + 1).toString(16).padStart(12, "0"));
  assert.equal(await store.read("0".repeat(12)), undefined);
  assert.deepEqual(await store.read(list[0]?.id ?? ""), {
    ...exampleReport(),
    id: list[0]?.id,
    startMs: list[0]?.startMs,
  });
  assert.ok((await readdir(folder)).includes("notes.txt"));
});

test("makeReport is what a reader of the file gets again", () => {
  const report = exampleReport();
  assert.deepEqual(DrillReport.parse(JSON.parse(JSON.stringify(report))), report);
});
