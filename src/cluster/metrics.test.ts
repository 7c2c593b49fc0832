import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { METRICS, renderMetrics } from "./metrics.ts";
import { edge, local, row } from "./testing/status.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const LINE =
  /^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

const FULL = local("s1", {
  drained: true,
  paused: ["chores"],
  probe: {
    at: "2026-01-01T00:00:00.000Z",
    ok: true,
    because: "",
    ms: 90,
    total: 9,
    failed: 2,
    lately: { total: 9, failed: 2, medianMs: 80 },
  },
  api: {
    settings: { port: 9143, metricsFrom: [] },
    url: "https://s1:9143",
    because: "",
    accessRevision: 5,
    refused: 3,
    uses: [],
  },
  edge: edge({
    replays: 7,
    connections: 3,
    load: { slot: 1, now: 1.5, past: [] },
    backends: [row("s1"), row("s2", { state: "down" })],
  }),
  disks: [
    { folder: "/a", freeBytes: 4e9, sizeBytes: 1e11 },
    { folder: "/b", freeBytes: 6e9, sizeBytes: 1e11, files: { free: 9e6, all: 1e7 } },
  ],
  history: { waiting: 3 },
  clock: { offsetMs: -1500, others: [{ id: "s2", offsetMs: 250 }] },
  expiries: [
    {
      kind: "leaf",
      what: 'a "name"\\\n',
      from: "2026-01-01T00:00:00Z",
      to: "2026-01-01T00:00:01Z",
    },
  ],
  courier: {
    runs: true,
    because: "",
    couriers: [],
    singleCopies: 2,
    spoolBytes: 100,
    queries: "s1",
    puppetdbs: [
      { id: "s1", fit: true, because: "", commands: 0, oldestMs: 0, deadLetters: 0 },
      { id: "s2", fit: false, because: "down", commands: 3, oldestMs: 1500, deadLetters: 1 },
    ],
    sync: {
      standing: "lacks",
      because: "",
      last: {
        id: "1",
        by: "timer",
        startedAt: "2026-01-01T00:00:00Z",
        endedAt: "2026-01-01T00:00:02Z",
        ok: true,
        because: "",
        moved: { report: 5 },
        left: 0,
        leftAlone: [],
        others: [],
      },
    },
    receivers: [
      { name: "board", url: "u", because: "down", reports: 2, oldestMs: 10, deadLetters: 0 },
    ],
  },
});

test("renderMetrics gives each metric its help, its type and its values", () => {
  const text = renderMetrics(FULL);
  for (const line of [
    'understudy_info{version="1.0.0",role="server",phase="ready"} 1',
    "understudy_record_reachable 1",
    "understudy_probe_seconds 0.09",
    'understudy_probe_catalogs_total{outcome="got"} 7',
    "understudy_api_up 1",
    "understudy_api_refused_total 3",
    'understudy_address_held{address="10.0.0.10"} 1',
    "understudy_drained 1",
    'understudy_paused{scope="chores"} 1',
    "understudy_edge_connections 3",
    "understudy_edge_replays_total 7",
    "understudy_clock_offset_seconds -1.5",
    'understudy_clock_difference_seconds{member="s2"} 0.25',
    'understudy_disk_free_bytes{folder="/b"} 6000000000',
    'understudy_disk_nearly_full{folder="/a"} 1',
    'understudy_disk_nearly_full{folder="/b"} 0',
    'understudy_puppetserver_up{puppetserver="s2"} 0',
    'understudy_expiry_timestamp_seconds{kind="leaf",what="a \\"name\\"\\\\\\n"} 1767225601',
    "understudy_courier_single_copies 2",
    'understudy_puppetdb_used{puppetdb="s2"} 0',
    'understudy_puppetdb_oldest_command_seconds{puppetdb="s2"} 1.5',
    "understudy_puppetdb_level 0",
    "understudy_puppetdb_sync_timestamp_seconds 1767225602",
    'understudy_puppetdb_sync_moved{kind="report"} 5',
    'understudy_receiver_up{receiver="board"} 0',
  ]) {
    assert.ok(text.includes(`\n${line}\n`), line);
  }
});

test("every line is one that Prometheus reads, each series once", () => {
  const seen = new Set<string>();
  for (const line of renderMetrics(FULL).trimEnd().split("\n")) {
    if (line.startsWith("# ")) continue;
    const [, name = "", labels = ""] = LINE.exec(line) ?? [];
    assert.notEqual(name, "", line);
    assert.ok(!seen.has(`${name}{${labels}`), line);
    seen.add(`${name}{${labels}`);
  }
  for (const { name } of METRICS) {
    assert.ok(
      [...seen].some((series) => series.startsWith(`${name}{`)),
      `${name} has no value`,
    );
  }
});

test("a member without edge, CA and courier tells of the rest alone", () => {
  const text = renderMetrics(local("w1", { edge: undefined, ca: undefined, addresses: [] }));
  assert.doesNotMatch(text, /understudy_(?:edge|ca|courier|puppet|address)/);
  assert.match(text, /^understudy_etcd_voter 1$/m);
});

test("docs/metrics.md lists every metric, and rules know no others", () => {
  const names = METRICS.map(({ name }) => name);
  const docs = readFileSync(join(ROOT, "docs", "metrics.md"), "utf8");
  const listed = [...docs.matchAll(/^\| `(understudy_\w+)` \| (\w+) \| (.+) \|$/gm)];
  assert.deepEqual(
    listed.map(([, name, type, help]) => [name, type, help]),
    METRICS.map(({ name, type, help }) => [name, type, help]),
  );
  const rules = readFileSync(join(ROOT, "packaging", "files", "alerts.yml"), "utf8");
  const used = new Set([...rules.matchAll(/understudy_\w+/g)].map(([name]) => name));
  assert.ok(used.size > 10);
  assert.deepEqual(
    [...used].filter((name) => !names.includes(name)),
    [],
  );
});

test("docs/alerts.md says of every rule what to do, in their order", () => {
  const rules = readFileSync(join(ROOT, "packaging", "files", "alerts.yml"), "utf8");
  const docs = readFileSync(join(ROOT, "docs", "alerts.md"), "utf8");
  const names = (text: string, line: RegExp) => [...text.matchAll(line)].map(([, name]) => name);
  const ruled = names(rules, /^ +- alert: (\w+)$/gm);
  assert.ok(ruled.length > 10);
  assert.deepEqual(names(docs, /^\| `(\w+)` \| .+ \| .+ \|$/gm), ruled);
});
