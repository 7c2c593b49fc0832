// All settings in an editor. Danger: somebody else may change them while the editor is open, and a
// text that was refused is work: it is kept, and its file is named.

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Fault, messageOf } from "../base/fault.ts";
import { CATALOG, editableOf, SETTING_KEYS } from "../cluster/settings/catalog.ts";
import type { Settings } from "../cluster/schema.ts";
import { type ConfigChange, type ConfigChanged, ConfigShown } from "../setup/config-contract.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import type { Output } from "./output.ts";

/**
 * Has the settings edited, and changes them with `change`. Undefined: the text is as it was. Throws
 * what `change` throws, with where the text is kept.
 */
export async function editSettings(
  flags: { file?: string },
  output: Output,
  change: (wish: ConfigChange) => Promise<ConfigChanged>,
): Promise<ConfigChanged | undefined> {
  const { revision, settings } = await callDaemon("GET", "/v1/config", { answer: ConfigShown });
  const before = flags.file === undefined ? renderText(settings) : await readText(flags.file);
  const folder = await mkdtemp(join(tmpdir(), "understudy-config-"));
  const file = join(folder, "settings.jsonc");
  await writeFile(file, before, { mode: 0o600 });
  await runEditor(file);
  const text = await readFile(file, "utf8");
  const drop = async () => rm(folder, { recursive: true, force: true });
  if (text === before && flags.file === undefined) {
    await drop();
    return undefined;
  }
  try {
    const wish = parseText(text);
    const done = await change({ revision, settings: wish });
    await drop();
    return done;
  } catch (error) {
    output.progress(`Your text is kept. Once more with it: understudy config edit --file ${file}`);
    throw error;
  }
}

/** The settings as text: JSON, each with what it is in a line before it. */
export function renderText(settings: Settings): string {
  const values = editableOf(settings);
  const lines = SETTING_KEYS.flatMap((key) => {
    const { what, form } = CATALOG[key];
    const value = values[key];
    // What isn't set is shown, and stays unset while its line is a comment.
    const line =
      value === undefined ? `  // "${key}": …,` : `  "${key}": ${JSON.stringify(value)},`;
    return [
      "",
      `  // ${what} (${key === "puppetdbNodeTtlS" ? "seconds, 0 for ever" : form})`,
      line,
    ];
  });
  return [HEAD, "{", ...lines.slice(1), "}", ""].join("\n");
}

const HEAD = `// The settings of the whole cluster. They hold on every member as soon as this is saved and checked.
// Leave the text as it is to change nothing.`;

/** What the text says: lines of comments, and commas too many, are left out. */
export function parseText(text: string): Record<string, unknown> {
  const json = text
    .split("\n")
    .filter((line) => !/^\s*\/\//.test(line))
    .join("\n")
    .replaceAll(/("(?:\\.|[^"\\])*")|,(?=\s*[}\]])/g, (_, text?: string) => text ?? "");
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    throw new Error("it is no object");
  } catch (error) {
    throw new Fault("config.text", `the text isn't JSON: ${messageOf(error)}`, {
      hints: ["Nothing was changed."],
    });
  }
}

async function readText(path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    throw new Fault("cli.option", `--file ${path}: ${messageOf(error)}`);
  });
}

async function runEditor(file: string): Promise<void> {
  const editor = process.env["VISUAL"] ?? process.env["EDITOR"] ?? "sensible-editor";
  // As other programs do: what is in the variable is a command line.
  const child = spawn("/bin/sh", ["-c", `${editor} "$1"`, "sh", file], { stdio: "inherit" });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  if (code === 0) return;
  throw new Fault("config.editor", `the editor (${editor}) ended with ${code ?? "a signal"}`, {
    hints: [`Nothing was changed. The text is in ${file}`],
  });
}
