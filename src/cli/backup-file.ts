// What the commands on backups share: the passphrase's option, and a backup opened and checked.

import { open, type FileHandle } from "node:fs/promises";
import { type Checked, checkBackup } from "../ca/backup/check.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { readPassphrase } from "./passphrase.ts";

/** The option of both, as Commander takes it. */
export const PASSPHRASE_OPTION = [
  "--passphrase-file <file>",
  'the passphrase is the first line of this file; "-" is standard input',
] as const;

/** Opens and checks the backup, and hands it to `use`. */
export async function withBackup<T>(
  path: string,
  passphraseFile: string | undefined,
  use: (checked: Checked) => Promise<T>,
): Promise<T> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (error) {
    throw new Fault("cli.option", `${path} can't be read: ${messageOf(error)}`);
  }
  try {
    // It is read through first, then once more.
    if (!(await file.stat()).isFile()) {
      throw new Fault("cli.option", `${path} is no file: a backup is read twice`, {
        hints: ["What comes through a pipe goes into a file first."],
      });
    }
    return await use(await checkBackup(file, await readPassphrase(passphraseFile, false)));
  } finally {
    await file.close();
  }
}
