// PuppetDB's node-ttl: it is to hide no node by its own clock, since couriers decide when one is
// gone. Pure text edit of the file with [database]. Danger: PuppetDB doesn't start when two files
// say the same setting, so it is changed where it stands.

import { parseDuration } from "../base/duration.ts";
import { Fault } from "../base/fault.ts";

const NAME = "node-ttl";
const NEVER = "0s";
/** PuppetDB's own, where nothing is set. */
const DEFAULT_S = 7 * 86_400;

/** One of PuppetDB's ini files. */
export interface IniFile {
  path: string;
  text: string;
}

interface Line {
  section: string;
  name: string;
  value: string;
}

/**
 * The one of `files` that is to say node-ttl, with the text that makes it never. Throws Fault
 * `puppetdb.config-unknown` where none has the section.
 */
export function editNodeTtl(files: readonly IniFile[], confD: string): IniFile {
  const [file] = [
    ...files.filter(({ text }) => parse(text).some(isNodeTtl)),
    ...files.filter(({ text }) => parse(text).some(({ section }) => section === "database")),
  ];
  if (file !== undefined) return { path: file.path, text: setNodeTtl(file.text, NEVER) };
  throw new Fault("puppetdb.config-unknown", `${confD}: no file *.ini has a section [database]`, {
    hints: ["Nothing was changed. Put PuppetDB's database settings into database.ini."],
  });
}

/**
 * `current` with node-ttl as `original` has it, and all else as it is: somebody may have changed
 * the database's password since.
 */
export function revertNodeTtl(current: string, original: string): string {
  return setNodeTtl(current, parse(original).find(isNodeTtl)?.value);
}

/** How long a node may be silent, seconds; 0: for ever. What isn't understood is the default. */
export function nodeTtlIn(files: readonly IniFile[]): number {
  const value = files.flatMap(({ text }) => parse(text)).find(isNodeTtl)?.value;
  try {
    return value === undefined ? DEFAULT_S : parseDuration(value);
  } catch {
    return DEFAULT_S;
  }
}

function setNodeTtl(text: string, value: string | undefined): string {
  const lines = parse(text);
  const line = `${NAME} = ${value}`;
  const isSet = lines.some(isNodeTtl);
  const header = lines.findIndex(({ section }) => section === "database");
  const edited = text.split("\n").flatMap((each, index) => {
    const at = lines[index];
    if (at !== undefined && isNodeTtl(at)) {
      if (at.value === value) return [each];
      return value === undefined ? [] : [line];
    }
    return index === header && !isSet && value !== undefined ? [each, line] : [each];
  });
  return edited.join("\n");
}

function isNodeTtl({ section, name }: Line): boolean {
  return section === "database" && name === NAME;
}

/** Each line of an ini file; name and value are empty where it sets nothing. */
function parse(text: string): Line[] {
  let section = "";
  return text.split("\n").map((line) => {
    section = /^\s*\[([^\]]+)\]/.exec(line)?.[1]?.trim() ?? section;
    const [, name = "", value = ""] = /^\s*([A-Za-z0-9_.-]+)\s*[=:]\s*(.*?)\s*$/.exec(line) ?? [];
    return { section, name, value };
  });
}
