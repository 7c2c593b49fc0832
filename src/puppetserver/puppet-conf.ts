// puppet.conf: the server's own agent goes through the edge like every other, by the shared name.
// Only `server` in [main] is ever touched, and only when nobody has chosen a name of their own.

import { unknownConfig } from "./hocon-places.ts";

/** The value Puppet has where nothing is set. */
const STOCK_SERVER = "puppet";

export interface PuppetConfEdit {
  text: string;
  /** Values of `server` that an administrator set and that stay; with section and line. */
  kept: { section: string; value: string; line: number }[];
}

/**
 * `text` with [main] server = `name`, where it is unset or stock. Throws Fault
 * `puppetserver.config-unknown`.
 */
export function editPuppetConf(text: string, name: string, file: string): PuppetConfEdit {
  const lines = text.split("\n");
  const kept: PuppetConfEdit["kept"] = [];
  const seen = new Map<string, number>();
  let section = "main";
  let header = -1;
  let own: number | undefined;
  lines.forEach((line, index) => {
    const opened = /^\s*\[([A-Za-z0-9_]+)\]\s*(?:#.*)?$/.exec(line)?.[1];
    if (opened !== undefined) {
      if (seen.has(opened)) {
        throw unknownConfig(file, index + 1, `section [${opened}] stands here a second time`);
      }
      seen.set(opened, index);
      section = opened;
      if (opened === "main") header = index;
      return;
    }
    if (/^\s*(?:#.*)?$/.test(line)) return;
    const setting = /^\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$/.exec(line);
    if (setting === null) {
      throw unknownConfig(
        file,
        index + 1,
        `a line NAME = VALUE was expected, found "${line.trim()}"`,
      );
    }
    if (setting[1] !== "server") return;
    const value = setting[2] ?? "";
    if (section === "main" && (value === STOCK_SERVER || value === name)) own = index;
    else kept.push({ section, value, line: index + 1 });
  });
  return { text: place(lines, { name, header, own, kept }), kept };
}

function place(
  lines: readonly string[],
  found: { name: string; header: number; own: number | undefined; kept: PuppetConfEdit["kept"] },
): string {
  const edited = [...lines];
  const setting = `server = ${found.name}`;
  if (found.own !== undefined) {
    if (edited[found.own]?.replace(/^.*=\s*/, "").trim() !== found.name)
      edited[found.own] = setting;
  } else if (found.kept.some((each) => each.section === "main")) {
    return lines.join("\n");
  } else if (found.header !== -1) {
    edited.splice(found.header + 1, 0, setting);
  } else {
    const blank = edited.at(-1)?.trim() === "";
    edited.splice(blank ? edited.length - 1 : edited.length, 0, "[main]", setting);
    if (!blank) edited.push("");
  }
  return edited.join("\n");
}
