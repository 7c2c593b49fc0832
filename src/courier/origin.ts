// The name of a courier's spool among the others: the member's id and a word of its own, made with
// the spool. The idea: copies are counted by the spool's numbers. One that begins anew, after its
// disk was lost, begins at 1 again; under the former name its commands would count as kept already.

import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createFileAtomic, readIfThere } from "../host/files.ts";

const MARK = "+";
const WORD_BYTES = 6;

/** This courier's; made and kept in `stateDir` at the first start. */
export async function readOrigin(stateDir: string, id: string): Promise<string> {
  const path = join(stateDir, "spool-name");
  const kept = (await readIfThere(path))?.trim();
  if (kept !== undefined && kept !== "") return `${id}${MARK}${kept}`;
  const word = randomBytes(WORD_BYTES).toString("hex");
  await createFileAtomic(path, `${word}\n`, { mode: 0o600 });
  return `${id}${MARK}${word}`;
}

/** The member whose spool it is. */
export function memberOf(origin: string): string {
  return origin.split(MARK)[0] ?? origin;
}
