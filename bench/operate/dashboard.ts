// How soon somebody sees the dashboard, and how much of it a browser has to fetch: the real API for
// people on loopback with its page, a browser that has nothing of it yet, a cluster of three that
// is made up. Needs no lab: node_modules/.bin/node bench/operate/dashboard.ts measures it alone.

import { ensureBrowser, launchBrowser } from "../../scripts/browser.ts";
import { renderFault } from "../../src/base/fault.ts";
import { renderTable } from "../../src/base/table.ts";
import { readDashboard } from "../../src/api/dashboard.ts";
import { buildDashboard, DASHBOARD_FOLDER } from "../../web/build.ts";
import { startMock } from "../../web/mock/serve.ts";
import { type Figure, figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Seen } from "../group.ts";
import type { BareSite } from "../site.ts";
import { median, worst } from "../stats.ts";

const PAINT_GOAL = { goal: { under: 0.5 } } as const;
const SCRIPT_GOAL = { goal: { under: 100 } } as const;
const TRIALS = { full: 10, quick: 2, baseline: 0 };
const WAIT_MS = 30_000;

interface Trial {
  /** From the address typed to the first paint of the page, seconds. */
  firstPaintS: number;
  /** To the verdict on the screen: page, script, session, stream, status; seconds. */
  verdictS: number;
  /** As it is sent, kilobytes. */
  scriptKb: number;
}

/** The verdict is there once the line on top has words of the cluster. */
const NOTE_VERDICT = `(() => {
  const look = () => {
    const text = document.querySelector("[role=status].standing")?.textContent ?? "";
    if (text.includes("tolerates")) globalThis.verdictMs = performance.now();
    else requestAnimationFrame(look);
  };
  look();
})()`;

export function dashboard(): Group<BareSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "dashboard",
    about: "the dashboard's first paint, its verdict, and the size of its script",
    trials: TRIALS,
    measure: async (site, measuring) => {
      await withPage(async (open) => {
        await makeTrials(seen, site, measuring, async (number, keep) => {
          const trial = await open();
          const said = `${trial.firstPaintS.toFixed(2)} s, verdict ${trial.verdictS.toFixed(2)} s`;
          measuring.say(`dashboard ${number}: first paint ${said}`);
          keep(trial);
        });
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const trials = filled(seen.understudy);
      return trials === undefined ? [] : toFigures(trials);
    },
    raw: () => seen,
  };
}

/** Builds and serves the page; `open` opens it once in a browser that is signed in and no more. */
async function withPage(use: (open: () => Promise<Trial>) => Promise<void>): Promise<void> {
  await ensureBrowser(console.log);
  await buildDashboard();
  const files = [...(readDashboard(DASHBOARD_FOLDER) ?? [])];
  const scripts = files.flatMap(([path, file]) => (path.endsWith(".js") ? [file] : []));
  const scriptBytes = scripts.reduce((sum, file) => sum + (file.zipped ?? file.bytes).length, 0);
  const mock = await startMock();
  const browser = await launchBrowser();
  try {
    await use(async () => {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      const authorization = `Bearer ${mock.tokens.viewer}`;
      const said = await context.request.post(`${mock.url}/session`, {
        headers: { authorization },
      });
      const { csrf } = (await said.json()) as { csrf: string };
      const page = await context.newPage();
      // As the page that signs in keeps it.
      await page.addInitScript(`localStorage.setItem("understudy-csrf", ${JSON.stringify(csrf)})`);
      await page.addInitScript(NOTE_VERDICT);
      await page.goto(mock.url);
      await page.getByText("tolerates 1 failure").waitFor({ timeout: WAIT_MS });
      const firstPaintMs = await page.evaluate<number>(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime",
      );
      const verdictMs = await page.evaluate<number>("globalThis.verdictMs");
      await context.close();
      const scriptKb = scriptBytes / 1000;
      return { firstPaintS: firstPaintMs / 1000, verdictS: verdictMs / 1000, scriptKb };
    });
  } finally {
    await browser.close();
    await mock.close();
  }
}

function toFigures(trials: readonly Trial[]): Figure[] {
  const paints = trials.map(({ firstPaintS }) => firstPaintS);
  const verdicts = trials.map(({ verdictS }) => verdictS);
  return [
    figure("dashboard, first paint, median", median(paints), "s", PAINT_GOAL),
    figure("dashboard, first paint, worst", worst(paints), "s", PAINT_GOAL),
    figure("dashboard, verdict on the screen, median", median(verdicts), "s"),
    figure("dashboard, script as it is sent", trials[0]?.scriptKb ?? 0, "KB", SCRIPT_GOAL),
  ];
}

if (import.meta.main) {
  try {
    const trials: Trial[] = [];
    await withPage(async (open) => {
      for (let number = 0; number < TRIALS.full; number += 1) trials.push(await open());
    });
    const rows = toFigures(trials).map(({ name, value, unit, goal, met }) => [
      name,
      `${value} ${unit}`,
      goal ?? "-",
      met === null ? "" : met ? "met" : "NOT MET",
    ]);
    console.log(renderTable(["FIGURE", "VALUE", "GOAL", ""], rows));
  } catch (error) {
    console.error(renderFault(error));
    process.exitCode = 1;
  }
}
