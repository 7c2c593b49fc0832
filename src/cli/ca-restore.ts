// understudy ca restore: a backup becomes a CA directory again, where there is no cluster any more.

import { resolve } from "node:path";
import type { Command } from "commander";
import { refuseHere } from "../ca/backup/restore-plan.ts";
import { restoreBackup } from "../ca/backup/restore.ts";
import { isSameFolder } from "../ca/place.ts";
import { readNodeFile } from "../cluster/node-file.ts";
import { wallMs } from "../host/clock.ts";
import { unitState } from "../host/systemd.ts";
import { findOwner } from "../host/users.ts";
import { type FoundPuppet, lookForPuppet } from "../setup/observe.ts";
import { onInterruption } from "../setup/steps.ts";
import { PASSPHRASE_OPTION, withBackup } from "./backup-file.ts";
import { renderRestored } from "./ca-backup-text.ts";
import { createOutput, type Output } from "./output.ts";
import { requireRoot } from "./pass-preflight.ts";

interface RestoreFlags {
  dir?: string;
  replace?: boolean;
  passphraseFile?: string;
  json?: boolean;
}

export function addCaRestore(ca: Command): void {
  ca.command("restore")
    .argument("<file>", "a backup that understudy ca backup wrote")
    .description("make a CA directory of a backup, on a new server, when every server is lost")
    .option("--dir <directory>", "where it goes; by default where Puppet looks for it")
    .option("--replace", "move aside what is there: nothing is deleted")
    .option(...PASSPHRASE_OPTION)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy ca restore /root/ca.backup\n\n" +
        "Refused on a member of a cluster, and while puppetserver runs. The backup is read through before\n" +
        "anything is written. Then: understudy init, which takes the CA over.\n\n" +
        "Exit code: 0 restored, 1 refused or failed: the CA directory is as it was.",
    )
    .action(async (path: string, flags: RestoreFlags) => {
      await restore(path, flags, createOutput(flags.json === true));
    });
}

async function restore(path: string, flags: RestoreFlags, output: Output): Promise<void> {
  requireRoot();
  const puppet = await lookForPuppet();
  const { layout } = puppet;
  const cadir = flags.dir === undefined ? cadirOf(puppet) : resolve(flags.dir);
  const member = await readNodeFile();
  // Elsewhere a puppetserver that runs signs nothing.
  const isPuppets = layout !== undefined && (await isSameFolder(cadir, layout.cadir));
  const running = async () => (isPuppets ? runningUnit(layout.puppetserver.unit) : undefined);
  // Before anybody types a passphrase; and after it, which may take a while.
  refuseHere({ member, running: await running() });
  const report = (detail: string) => output.progress(`   … ${detail}`);
  const restored = await withBackup(path, flags.passphraseFile, async (checked) =>
    restoreBackup({
      checked,
      cadir,
      replace: flags.replace === true,
      owner: layout && (await findOwner(layout.puppetserver.user, layout.puppetserver.group)),
      member,
      running: await running(),
      nowMs: wallMs(),
      report,
      signal: onInterruption(report),
    }),
  );
  output.result(restored, renderRestored(restored));
}

/** Throws the Fault that says why it can't be told. */
function cadirOf(puppet: FoundPuppet): string {
  if (puppet.layout === undefined) throw puppet.fault;
  return puppet.layout.cadir;
}

async function runningUnit(unit: string): Promise<string | undefined> {
  return ["inactive", "failed"].includes((await unitState(unit)).active) ? undefined : unit;
}
