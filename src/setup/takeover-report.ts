// What is told of a CA directory that is taken over: what it has, what is odd in it, what to do.
// The whole of it is kept as JSON in the state directory; people get the first of each.

import { messageOf } from "../base/fault.ts";
import { renderOddities } from "../ca/import-oddities.ts";
import type { Survey } from "../ca/import.ts";
import { isoTime, wallMs } from "../host/clock.ts";
import { writeFileAtomic } from "../host/files.ts";

/** The survey of the CA directory at `cadir`, in lines. */
export function renderSurvey(cadir: string, survey: Survey): string[] {
  const { signed, requests, revoked, oddities } = survey;
  const has = `${cadir} has ${signed} signed, ${requests} waiting, ${revoked} revoked`;
  if (oddities.length === 0) return [`${has}; nothing is odd there`];
  const lines = renderOddities(oddities).map((line) => `  ${line}`);
  return [`${has}. Odd there, but no obstacle:`, ...lines];
}

/**
 * Keeps the survey at `path`. Returns a line that says where it is, or why it isn't kept: that ends
 * no takeover.
 */
export async function keepSurvey(path: string, cadir: string, survey: Survey): Promise<string> {
  const report = { at: isoTime(wallMs()), cadir, ...survey };
  try {
    await writeFileAtomic(path, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600 });
    return `all of it: ${path}`;
  } catch (error) {
    return `the report isn't kept: ${messageOf(error)}`;
  }
}
