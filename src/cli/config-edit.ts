// All settings in an editor. Danger: somebody else may change them while the editor is open, or
// before a kept text is sent; and a text that was refused is work: its file is kept and named.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, isFault, messageOf } from "../base/fault.ts";
import { diffSettings } from "../cluster/settings/catalog.ts";
import type { ConfigChange, ConfigChanged, ConfigShown } from "../setup/config-contract.ts";
import { parseText, renderChanges, renderText, revisionIn } from "./config-text.ts";
import type { Output } from "./output.ts";

/** What an editor asks of the settings. */
export interface ConfigDoor {
  show(): Promise<ConfigShown>;
  /** Throws Fault `config.no-former`. */
  formerAt(revision: number): Promise<ConfigShown>;
  /** Throws Fault `config.…`. */
  change(wish: ConfigChange): Promise<ConfigChanged>;
}

/**
 * Has the settings edited, and changes them, where they are still those that the text was made
 * from. Undefined: the text is as it was. Throws what `change` throws, with where the text is kept.
 * `dryRun`: `change` changes nothing, so the text is kept then, too.
 */
export async function editSettings(
  flags: { file?: string; dryRun?: boolean },
  output: Output,
  door: ConfigDoor,
): Promise<ConfigChanged | undefined> {
  const { revision, settings } = await door.show();
  const before =
    flags.file === undefined ? renderText(settings, revision) : await readText(flags.file);
  const folder = await mkdtemp(join(tmpdir(), "understudy-config-"));
  const file = join(folder, "settings.jsonc");
  await writeFile(file, before, { mode: 0o600 });
  await runEditor(file);
  const text = await readFile(file, "utf8");
  const drop = async () => rm(folder, { recursive: true, force: true });
  const tellKept = () =>
    output.progress(`Your text is kept. Once more with it: understudy config edit --file ${file}`);
  if (text === before && flags.file === undefined) {
    await drop();
    return undefined;
  }
  const madeFrom = revisionIn(text) ?? revision;
  try {
    const done = await door.change({ revision: madeFrom, settings: parseText(text) });
    if (flags.dryRun === true) tellKept();
    else await drop();
    return done;
  } catch (error) {
    if (isFault(error, "config.changed")) output.progress(await describeSince(door, madeFrom));
    tellKept();
    throw error;
  }
}

/** What others have changed since `madeFrom`, and how the text comes to be taken. */
async function describeSince(door: ConfigDoor, madeFrom: number): Promise<string> {
  // Why it was refused stands, whatever can't be read of it.
  const [now, former] = await Promise.allSettled([door.show(), door.formerAt(madeFrom)]);
  if (now.status === "rejected") return `What they are can't be read: ${messageOf(now.reason)}`;
  const { revision, settings } = now.value;
  const since =
    former.status === "fulfilled"
      ? renderChanges(diffSettings(former.value.settings, settings))
      : `  not known: ${messageOf(former.reason)}`;
  return `Changed by others since revision ${madeFrom}, which your text was made from:
${since}
Write that into your text, or it is undone, and "revision ${revision}" into its head.`;
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new Fault("cli.option", `--file ${path}: ${messageOf(error)}`);
  });
}

async function runEditor(file: string): Promise<void> {
  const editor = process.env["VISUAL"] ?? process.env["EDITOR"] ?? "sensible-editor";
  // Ctrl-C is the editor's: the terminal sends it to us and to the shell as well.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  // As other programs do: what is in the variable is a command line.
  const script = `trap : INT\n${editor} "$1"`;
  const child = spawn("/bin/sh", ["-c", script, "sh", file], { stdio: "inherit" });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  }).finally(() => process.off("SIGINT", ignore));
  if (code === 0) return;
  throw new Fault("config.editor", `the editor (${editor}) ended with ${code ?? "a signal"}`, {
    hints: [`Nothing was changed. The text is in ${file}`],
  });
}
