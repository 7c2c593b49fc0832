// Carries out what plan.ts lists, one action at a time, each repeatable. Danger: a reload ends
// running compiles; the caller drains this puppetserver at the edges first, except on a server that
// isn't in use yet.

import { wallMs } from "../host/clock.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import { unit } from "../host/systemd.ts";
import { EDITED_STAMP, RELOADED_STAMP } from "./observe.ts";
import { editFile, putOriginalBack } from "./originals.ts";
import type { PuppetserverAction, RevertAction } from "./plan.ts";

/**
 * puppetserver starts in 20 s alone, in two minutes on a busy server; systemd itself gives it 300
 * s.
 */
const START_MS = 320_000;

/** What is carried out here; a restart is its caller's, who sees to the agents first. */
export type AppliedAction = Extract<PuppetserverAction, { do: "write" | "reload" }>;

/** Does one action. Throws Fault `host.command-failed`, or what the file system throws. */
export async function applyPuppetserver(action: AppliedAction, unitName: string): Promise<void> {
  switch (action.do) {
    case "write":
      // Only puppet.conf may be missing.
      if ((await readIfThere(action.path)) === undefined) await writeFileAtomic(action.path, "");
      // Before and after: whenever this is interrupted, the stamp is newer than puppetserver's
      // start.
      await writeFileAtomic(EDITED_STAMP, "");
      await editFile(action.path, action.text);
      await writeFileAtomic(EDITED_STAMP, "");
      return;
    case "reload": {
      // What changes while it reloads may be missed, so the beginning counts. A change dated later
      // than that (the clock was set back) is not loaded again and again.
      const beganMs = wallMs();
      await unit("reload", unitName, { withinMs: START_MS });
      await writeFileAtomic(RELOADED_STAMP, `${Math.max(beganMs, action.identityMs)}\n`);
    }
  }
}

/**
 * Puts one original back. The caller restarts puppetserver, where it is to run, when all are back.
 */
export async function revertPuppetserver(action: RevertAction): Promise<void> {
  await putOriginalBack(action.path, action.ours);
}
