// The name of a courier's spool among the others: the member's id and a word of its own, made with
// the spool. The idea: copies are counted by the spool's numbers. One that begins anew, after its
// disk was lost, begins at 1 again; under the former name its commands would count as kept already.

import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createFileAtomic, readIfThere, syncFolder } from "../host/files.ts";

const MARK = "+";
const WORD_BYTES = 6;
const pathIn = (stateDir: string) => join(stateDir, "spool-name");

/** This courier's; made and kept in `stateDir` at the first start. */
export async function readOrigin(stateDir: string, id: string): Promise<string> {
  const path = pathIn(stateDir);
  const kept = (await readIfThere(path))?.trim();
  if (kept !== undefined && kept !== "") return `${id}${MARK}${kept}`;
  const word = randomBytes(WORD_BYTES).toString("hex");
  await createFileAtomic(path, `${word}\n`, { mode: 0o600 });
  return `${id}${MARK}${word}`;
}

/**
 * Has the spool get another name: what other couriers hold under this one, they deliver from then
 * on, and no number of it is taken for one of theirs.
 */
export async function forgetOrigin(stateDir: string): Promise<void> {
  await rm(pathIn(stateDir), { force: true });
  await syncFolder(stateDir);
}

/** The member whose spool it is. */
export function memberOf(origin: string): string {
  return origin.split(MARK)[0] ?? origin;
}
