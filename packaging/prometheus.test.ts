// What the package brings for Prometheus and Grafana, held against the metrics that there are and
// checked by Prometheus's own promtool.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { z } from "zod";
import { toolEnv, toolPath } from "../scripts/tools.ts";
import { METRICS, renderMetrics } from "../src/cluster/metrics.ts";
import { local } from "../src/cluster/testing/status.ts";
import { type RunResult, tryRun } from "../src/host/process.ts";

const FILES = join(import.meta.dirname, "files");
const ALERTS = join(FILES, "alerts.yml");
const GRID = 24;

const folder = mkdtempSync(join(tmpdir(), "understudy-prom-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What Grafana needs to take a dashboard as a file. */
const Source = z.object({ type: z.literal("prometheus"), uid: z.literal("${datasource}") });
const Panel = z.object({
  id: z.int(),
  type: z.enum(["row", "stat", "timeseries", "state-timeline"]),
  title: z.string().min(1),
  gridPos: z.object({ h: z.int().min(1), w: z.int().min(1), x: z.int().min(0), y: z.int().min(0) }),
  datasource: Source.optional(),
  targets: z
    .array(
      z.object({
        refId: z.string().min(1),
        datasource: Source,
        expr: z.string().min(1),
        legendFormat: z.string(),
      }),
    )
    .default([]),
});
const Dashboard = z.object({
  uid: z.string().regex(/^[a-z0-9-]{1,40}$/),
  title: z.literal("Understudy"),
  schemaVersion: z.int().min(36),
  time: z.object({ from: z.string(), to: z.string() }),
  annotations: z.object({ list: z.array(z.object({ datasource: Source, expr: z.string() })) }),
  templating: z.object({
    list: z.array(z.object({ name: z.string(), type: z.string(), query: z.unknown() })),
  }),
  panels: z.array(Panel),
});
const board = Dashboard.parse(JSON.parse(readFileSync(join(FILES, "grafana.json"), "utf8")));
const queries = [
  ...board.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
  ...board.annotations.list.map(({ expr }) => expr),
];

async function promtool(args: string[], input = ""): Promise<RunResult> {
  return tryRun([toolPath("promtool"), ...args], { env: toolEnv(), input });
}

/** As a file that promtool reads: JSON is YAML. */
function file(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

test("the dashboard has a data source that can be chosen, and panels that don't overlap", () => {
  const variables = board.templating.list.map(({ name, type }) => [name, type]);
  assert.deepEqual(variables, [
    ["datasource", "datasource"],
    ["member", "query"],
  ]);
  const ids = board.panels.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  const taken = new Map<string, string>();
  for (const { title, type, targets, datasource, gridPos } of board.panels) {
    const { x, y, w, h } = gridPos;
    assert.ok(x + w <= GRID, title);
    assert.equal(targets.length > 0 && datasource !== undefined, type !== "row", title);
    const refs = targets.map(({ refId }) => refId);
    assert.equal(new Set(refs).size, refs.length, title);
    for (let cell = 0; cell < w * h; cell += 1) {
      const at = `${x + (cell % w)},${y + Math.floor(cell / w)}`;
      assert.equal(taken.get(at), undefined, `${title} lies on ${taken.get(at)}`);
      taken.set(at, title);
    }
  }
});

test("the dashboard shows metrics that there are, and most of them", () => {
  const names = new Set(METRICS.map(({ name }) => name));
  const used = new Set(queries.flatMap((query) => query.match(/understudy_\w+/g) ?? []));
  assert.deepEqual(
    [...used].filter((name) => !names.has(name)),
    [],
  );
  assert.ok(used.size * 4 > names.size * 3, `${used.size} of ${names.size}`);
});

test("promtool takes every query of the dashboard", async () => {
  const rules = queries.map((query, index) => ({
    record: `understudy:query${index}`,
    expr: query.replaceAll("$member", ".*").replaceAll("$__rate_interval", "5m"),
  }));
  assert.doesNotMatch(JSON.stringify(rules), /\$\w/, "a variable that isn't known");
  const path = file("queries.yml", { groups: [{ name: "dashboard", rules }] });
  const said = await promtool(["check", "rules", path]);
  assert.ok(said.ok, said.stdout + said.stderr);
});

test("promtool takes the rules for alerts, and what /metrics answers", async () => {
  const rules = await promtool(["check", "rules", ALERTS]);
  assert.ok(rules.ok, rules.stdout + rules.stderr);
  assert.match(rules.stdout, /SUCCESS: \d\d rules found/);
  const metrics = await promtool(["check", "metrics"], renderMetrics(local("s1")));
  assert.ok(metrics.ok, metrics.stdout + metrics.stderr);
});

test("alerts fire when they should, and not when all is well", async () => {
  const on = (instance: string) => `instance="${instance}"`;
  const values = (series: string, text: string) => ({ series, values: text });
  const alert = (alertname: string, exp_alerts: object[] = []) => {
    return { eval_time: "45m", alertname, exp_alerts };
  };
  const fires = (labels: object, summary: string) => {
    return { exp_labels: { severity: "critical", ...labels }, exp_annotations: { summary } };
  };
  const well = [
    ...["s1", "s2"].flatMap((name) => [
      values(`understudy_info{${on(name)},role="server"}`, "1x60"),
      values(`understudy_edge_up{${on(name)}}`, "1x60"),
      values(`understudy_edge_crl_number{${on(name)}}`, "7x60"),
      values(`understudy_ca_crl_number{${on(name)}}`, "7x60"),
    ]),
    values(`understudy_address_held{${on("s1")},address="10.0.0.10"}`, "1x60"),
    values(`up{${on("s1")},job="understudy"}`, "1x60"),
    // One that is missed now and then.
    values(`up{${on("s3")},job="understudy"}`, "1 0 0 1 ".repeat(16)),
    values(`up{${on("s4")},job="other"}`, "0x60"),
    values(`understudy_disk_nearly_full{${on("s1")},folder="/srv"}`, "0x60"),
  ];
  const broken = [
    ...well.filter(({ series }) => !/held|edge_up.*s2|edge_crl_number.*s2|up.*s3/.test(series)),
    values(`up{${on("s3")},job="understudy"}`, "1x20 0x40"),
    values(`understudy_edge_up{${on("s2")}}`, "0x60"),
    values(`understudy_disk_nearly_full{${on("s2")},folder="/srv"}`, "1x60"),
    values(`understudy_edge_crl_number{${on("s2")}}`, "6x60"),
  ];
  const expected: [string, object][] = [
    [
      "UnderstudySilent",
      fires(
        { instance: "s3", job: "understudy" },
        "Understudy on s3 has told nothing for 5 minutes: systemctl status understudy",
      ),
    ],
    [
      "UnderstudyEdgeDown",
      fires({ instance: "s2" }, "The edge of s2 takes no agents: systemctl status understudy-edge"),
    ],
    [
      "UnderstudyEdgeBehind",
      fires({ instance: "s2" }, "The edge of s2 lacks a revocation: understudy status"),
    ],
    [
      "UnderstudyDiskNearlyFull",
      fires(
        { severity: "warning", instance: "s2", folder: "/srv" },
        "The disk of /srv on s2 is nearly full: df -h, df -i",
      ),
    ],
    [
      "UnderstudyNoAddress",
      fires(
        {},
        "No server has a virtual address. Where there is none by design, leave this rule out",
      ),
    ],
  ];
  const cases = {
    rule_files: [ALERTS],
    evaluation_interval: "1m",
    tests: [
      { input_series: well, alert_rule_test: expected.map(([name]) => alert(name)) },
      { input_series: broken, alert_rule_test: expected.map(([name, one]) => alert(name, [one])) },
    ].map((each) => ({ interval: "1m", ...each })),
  };
  const said = await promtool(["test", "rules", file("alerts-test.yml", cases)]);
  assert.ok(said.ok, said.stdout + said.stderr);
});
