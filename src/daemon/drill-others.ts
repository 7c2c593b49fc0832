// What other servers have of drills: reports, of which each has those of the drills that it drove,
// and the one that another one drives. A server that doesn't answer is named.

import { Fault, messageOf } from "../base/fault.ts";
import { DrillId, type DrillMark } from "../cluster/drill.ts";
import type { Member } from "../cluster/schema.ts";
import { drillUnderWay, NO_WORK } from "../cluster/work.ts";
import { withoutDriver } from "../drill/kinds.ts";
import { type DrillReport, OwnReport, OwnReports } from "../drill/report.ts";
import type { ReportStore } from "../drill/store.ts";
import { wallMs } from "../host/clock.ts";
import { Done } from "../setup/contract.ts";
import { DrillProgress, type DrillReports } from "../setup/drill-contract.ts";
import type { Core } from "./core.ts";

const ASK_MS = 3000;
const REPORTS_MAX = 200;

/** What this server and the others have, newest first. */
export async function listReports(
  core: Core,
  store: Pick<ReportStore, "list">,
): Promise<DrillReports> {
  const asked = othersOf(core).map(async ({ id, address }) => {
    const options = { answer: OwnReports, withinMs: ASK_MS };
    const reports = await core.peers.call(address, "/v1/drills", options).then(
      (answer) => answer.reports,
      () => undefined,
    );
    return { id, reports };
  });
  const [own, others] = await Promise.all([store.list(), Promise.all(asked)]);
  const all = [...own, ...others.flatMap(({ reports = [] }) => reports)];
  return {
    reports: all.toSorted((a, b) => b.startMs - a.startMs).slice(0, REPORTS_MAX),
    missing: others.flatMap(({ id, reports }) => (reports === undefined ? [id] : [])),
  };
}

/** The report of one drill, wherever it is; undefined where nobody that answers has it. */
export async function findReport(
  core: Core,
  store: Pick<ReportStore, "read">,
  id: string,
): Promise<DrillReport | undefined> {
  if (!DrillId.safeParse(id).success) return undefined;
  const own = await store.read(id);
  if (own !== undefined) return own;
  const answers = await Promise.all(
    othersOf(core).map(async ({ address }) => {
      const options = { answer: OwnReport, withinMs: ASK_MS };
      return core.peers.call(address, `/v1/drills/${id}`, options).catch(() => undefined);
    }),
  );
  return answers.find((answer) => answer?.report !== undefined)?.report;
}

/** What the drill that another server drives is at; undefined: none, or no answer. */
export async function progressElsewhere(core: Core): Promise<DrillProgress | undefined> {
  const driver = driverElsewhere(core);
  if (driver === undefined) return undefined;
  const options = { answer: DrillProgress, withinMs: ASK_MS };
  return core.peers.call(driver.address, "/v1/drill", options).catch(() => undefined);
}

/**
 * Has another server stop the drill that it drives. Throws Fault `drill.not-stopped` where that
 * can't be asked.
 */
export async function stopElsewhere(core: Core, by: string): Promise<void> {
  const drill = markOf(core);
  const driver = driverElsewhere(core);
  if (drill === undefined || driver === undefined) return;
  const options = { body: { by }, answer: Done, withinMs: ASK_MS };
  try {
    await core.peers.call(driver.address, "/v1/drill/stop", options);
  } catch (error) {
    const what = `${driver.id}, which drives the drill, can't be asked to stop it`;
    throw new Fault("drill.not-stopped", `${what}: ${messageOf(error)}`, {
      hints: [
        `It is held at ${drill.server}: ${withoutDriver(drill.kind)}.`,
        `Drains and restarts are refused until ${drill.until}, or until that daemon is back.`,
      ],
      cause: error,
    });
  }
}

function driverElsewhere(core: Core): Member | undefined {
  return othersOf(core).find(({ id }) => id === markOf(core)?.driver);
}

function markOf({ keeper }: Core): DrillMark | undefined {
  return drillUnderWay(keeper.current()?.work ?? NO_WORK, wallMs());
}

function othersOf({ node, keeper }: Core): Member[] {
  const members = keeper.current()?.members ?? [];
  return members.filter(({ id, role }) => id !== node.id && role === "server");
}
