// The report as one page that needs nothing else: no script, no resource from anywhere, the chart
// as SVG in it. Danger: reasons and names come from anywhere, so every text goes through `escape`.

import { describeFigures, outcomeOf } from "./render-text.ts";
import type { DrillReport } from "./report.ts";
import { KINDS } from "./kinds.ts";

const WIDTH = 960;
const LEFT = 60;
const RIGHT = 36;
const CONNECTS_TOP = 24;
const CONNECTS_HEIGHT = 90;
const CATALOGS_TOP = 150;
const CATALOGS_HEIGHT = 140;
const HEIGHT = 350;
/** The chart's catalogs go from 1 ms to this, by powers of ten. */
const DECADES = 5;
const TICKS = 8;

/** The whole page. */
export function renderHtml(report: DrillReport): string {
  const { kind, server, driver, by, startMs, steps, left, id } = report;
  const title = `Drill ${kind} at ${server}`;
  const rows = describeFigures(report).map(
    ([what, value]) => `<tr><th scope="row">${escape(what)}</th><td>${escape(value)}</td></tr>`,
  );
  const told = steps.map(
    ({ atMs, what }) => `<li><span>${escape(offset(atMs, report))}</span> ${escape(what)}</li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
<p class="${left.length === 0 && report.outcome === "done" ? "good" : "bad"}">${escape(outcomeOf(report))}</p>
<p>${escape(`${server}: ${KINDS[kind].does}. Held by ${by} on ${time(startMs)}, measured from ${driver} at ${report.target}. Its id is ${id}.`)}</p>
${renderChart(report)}
<h2>Figures</h2>
<table><tbody>
${rows.join("\n")}
</tbody></table>
${left.length === 0 ? "" : `<h2>Worse than before</h2>\n<ul>${left.map((each) => `<li>${escape(each)}</li>`).join("")}</ul>`}
<h2>What went on</h2>
<p>Seconds count from the act.</p>
<ol>${told.join("\n")}</ol>
</main>
</body>
</html>
`;
}

/** The timeline: new connections above, catalogs below, the act and its end across both. */
export function renderChart(report: DrillReport): string {
  const { startMs, endMs, actMs, steps } = report;
  const spanMs = Math.max(1, endMs - startMs);
  const x = (atMs: number) => {
    const part = Math.min(1, Math.max(0, (atMs - startMs) / spanMs));
    return fixed(LEFT + part * (WIDTH - LEFT - RIGHT));
  };
  const act =
    actMs === undefined
      ? ""
      : `<line class="act" x1="${x(actMs)}" x2="${x(actMs)}" y1="10" y2="${HEIGHT - 30}"/><text x="${x(actMs)}" y="10">act</text>`;
  const marks = steps.map(
    ({ atMs, what }) =>
      `<line class="mark" x1="${x(atMs)}" x2="${x(atMs)}" y1="${CATALOGS_TOP - 22}" y2="${CATALOGS_TOP - 10}"><title>${escape(what)}</title></line>`,
  );
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Timeline of connections and catalogs">
<text x="0" y="${CONNECTS_TOP + 10}">connects</text>
<text x="0" y="${CATALOGS_TOP + 10}">catalogs</text>
${renderConnects(report, x)}
${marks.join("\n")}
${renderCatalogs(report, x)}
${act}
${renderAxis(report, x)}
</svg>
<p class="legend"><span class="ok">●</span> answered, by a new connection <span class="kept">●</span> by a kept one <span class="failed">●</span> failed. Above: the part of new connections that failed in each ${report.binMs} ms. Below: how long catalogs took.</p>`;
}

function renderConnects({ bins, binMs }: DrillReport, x: (atMs: number) => string): string {
  const bars = bins.map(({ atMs, count, failed }) => {
    const width = fixed(Math.max(0.5, Number(x(atMs + binMs)) - Number(x(atMs))));
    const part = count === 0 ? 0 : failed / count;
    const height = fixed(failed === 0 ? 3 : Math.max(6, part * CONNECTS_HEIGHT));
    const y = fixed(CONNECTS_TOP + CONNECTS_HEIGHT - Number(height));
    const kind = failed === 0 ? "ok" : "failed";
    return `<rect class="${kind}" x="${x(atMs)}" y="${y}" width="${width}" height="${height}"><title>${failed} of ${count} failed</title></rect>`;
  });
  return bars.join("\n");
}

function renderCatalogs({ catalogs }: DrillReport, x: (atMs: number) => string): string {
  const y = (ms: number) => {
    const part = Math.min(1, Math.log10(Math.max(1, ms)) / DECADES);
    return fixed(CATALOGS_TOP + CATALOGS_HEIGHT * (1 - part));
  };
  const lines = [10, 100, 1000, 10_000].map(
    (ms) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(ms)}" y2="${y(ms)}"/><text x="0" y="${y(ms)}">${ms < 1000 ? `${ms} ms` : `${ms / 1000} s`}</text>`,
  );
  const points = catalogs.map(({ atMs, ms, ok, kept }) => {
    const kind = ok ? (kept ? "kept" : "ok") : "failed";
    return `<circle class="${kind}" cx="${x(atMs)}" cy="${y(ms)}" r="${ok ? 2 : 4}"><title>${ms} ms</title></circle>`;
  });
  return [...lines, ...points].join("\n");
}

function renderAxis(report: DrillReport, x: (atMs: number) => string): string {
  const { startMs, endMs } = report;
  const ticks = Array.from({ length: TICKS + 1 }, (_, index) => {
    const atMs = startMs + ((endMs - startMs) * index) / TICKS;
    return `<text x="${x(atMs)}" y="${HEIGHT - 8}" text-anchor="middle">${escape(offset(atMs, report))}</text>`;
  });
  return ticks.join("\n");
}

/** Seconds since the act, or since the start where there was none. */
function offset(atMs: number, { actMs, startMs }: DrillReport): string {
  const s = (atMs - (actMs ?? startMs)) / 1000;
  return `${s < 0 ? "" : "+"}${s.toFixed(1)} s`;
}

function time(ms: number): string {
  return `${new Date(ms).toISOString().replace("T", " ").slice(0, 19)} UTC`;
}

function fixed(value: number): string {
  return value.toFixed(1);
}

/** `text` as HTML shows it, in elements and in attributes. */
export function escape(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

const STYLE = `
:root { color-scheme: light dark; --ink: #1b1f24; --ground: #fff; --soft: #8c959f; --good: #1a7f37; --kept: #0969da; --bad: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --ground: #0d1117; --soft: #6e7681; --good: #3fb950; --kept: #58a6ff; --bad: #f85149; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 2rem auto; padding: 0 1rem; max-width: 62rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; }
svg { width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--ink); }
.ok { fill: var(--good); color: var(--good); } .kept { fill: var(--kept); color: var(--kept); } .failed { fill: var(--bad); color: var(--bad); }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
.grid { stroke: var(--soft); stroke-width: .3; } .mark { stroke: var(--soft); } .act { stroke: var(--bad); stroke-dasharray: 3 3; }
.legend, ol span { color: var(--soft); } ol { list-style: none; padding: 0; } ol span { display: inline-block; min-width: 5rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 400; padding-right: 2rem; vertical-align: top; }
`;
