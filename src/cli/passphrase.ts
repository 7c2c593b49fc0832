// A passphrase: the first line of a file or of standard input, or typed on a terminal, unseen.

import { Fault } from "../base/fault.ts";
import { askUnseen, readSecretFile } from "./secret.ts";

/** A shorter one can be found by trying. */
export const PASSPHRASE_LENGTH_MIN = 12;
const OPTION = "--passphrase-file";

/**
 * Reads it. `fresh`: one that is to protect something, so it must be long enough, and is asked for
 * twice. Throws Fault `cli.option`, `cli.interrupted`.
 */
export async function readPassphrase(file: string | undefined, fresh: boolean): Promise<string> {
  const text = file === undefined ? await ask(fresh) : await readSecretFile(file, OPTION);
  const least = fresh ? PASSPHRASE_LENGTH_MIN : 1;
  // By characters as people count them.
  if (Array.from(text).length >= least) return text;
  throw new Fault(
    "cli.option",
    text === ""
      ? "the passphrase is empty"
      : `the passphrase has ${Array.from(text).length} characters, at least ${least} are needed`,
    { hints: ["Whoever finds it out has the CA's key. Five random words are a good one."] },
  );
}

async function ask(twice: boolean): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new Fault("cli.option", "there is no passphrase, and nobody to ask for it", {
      hints: [`Use ${OPTION} FILE; "-" is standard input.`],
    });
  }
  const first = await askUnseen("Passphrase: ");
  if (!twice || (await askUnseen("Once more: ")) === first) return first;
  throw new Fault("cli.option", "the two passphrases differ: nothing was written");
}
