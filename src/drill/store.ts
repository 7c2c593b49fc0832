// Reports of drills on the disk of the member that drove them: one file each, and only so many.

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, readIfThere, writeFileAtomic } from "../host/files.ts";
import { DrillReport, type DrillSummary, summarize } from "./report.ts";

export const REPORTS_MAX = 50;

/** Names sort by time. */
const NAME = /^(\d{14})-([0-9a-f]{12})\.json$/;

export interface ReportStore {
  /** Keeps one, and lets the oldest go. */
  keep(report: DrillReport): Promise<void>;
  /** Newest first; one that can't be read is left out. */
  list(): Promise<DrillSummary[]>;
  /** Undefined: there is none here. */
  read(id: string): Promise<DrillReport | undefined>;
}

export function reportStore(folder: string): ReportStore {
  const names = async () => {
    const all = await readdir(folder).catch(() => []);
    return all.filter((name) => NAME.test(name)).toSorted();
  };
  const read = async (name: string) => parse(await readIfThere(join(folder, name)));
  return {
    async keep(report) {
      await makeFolder(folder, { mode: 0o700 });
      const time = String(Math.max(0, Math.floor(report.startMs))).padStart(14, "0");
      const path = join(folder, `${time}-${report.id}.json`);
      await writeFileAtomic(path, `${JSON.stringify(report)}\n`, { mode: 0o600 });
      const surplus = (await names()).slice(0, -REPORTS_MAX);
      for (const name of surplus) await rm(join(folder, name), { force: true });
    },
    async list() {
      const reports: DrillSummary[] = [];
      for (const name of (await names()).toReversed()) {
        const report = await read(name);
        if (report !== undefined) reports.push(summarize(report));
      }
      return reports;
    },
    async read(id) {
      const name = (await names()).find((each) => NAME.exec(each)?.[2] === id);
      return name === undefined ? undefined : read(name);
    },
  };
}

function parse(text: string | undefined): DrillReport | undefined {
  try {
    return text === undefined ? undefined : DrillReport.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
