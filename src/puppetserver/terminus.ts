// How puppetserver finds PuppetDB: puppetdb.conf, routes.yaml, and three settings of puppet.conf.
// Pure text edits. What isn't understood is refused, never guessed.

import { unknownConfig } from "./hocon-places.ts";

/** Settings of puppet.conf, as puppetserver reads them; undefined: not set. */
export type ServerSettings = Record<string, string | undefined>;

const SETTINGS = ["storeconfigs", "storeconfigs_backend", "reports"] as const;
/** Where puppetserver looks for a setting, first to last. */
const SECTIONS = ["server", "master"];
/** What Puppet does with reports where nothing is set. */
const STOCK_REPORTS = "store";

/** Commands to every URL, or only to some, is what the couriers do themselves. */
const DROPPED = ["command_broadcast", "min_successful_submissions", "submit_only_server_urls"];

interface Line {
  index: number;
  section: string;
  name: string;
  value: string;
}

/** The settings that make puppetserver use PuppetDB, given what puppet.conf says now. */
export function wantedSettings(text: string, file: string): ServerSettings {
  const { settings } = parse(text, file);
  const reports = [...SECTIONS, "main"]
    .map((section) => settings.find((each) => each.section === section && each.name === "reports"))
    .find((found) => found !== undefined);
  return {
    storeconfigs: "true",
    storeconfigs_backend: "puppetdb",
    reports: withPuppetdb(reports?.value ?? STOCK_REPORTS),
  };
}

function withPuppetdb(reports: string): string {
  const names = reports
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "" && name !== "none");
  return names.includes("puppetdb") ? reports : [...names, "puppetdb"].join(",");
}

/** What the section that `setServerSettings` writes to says of these settings now. */
export function readServerSettings(text: string, file: string): ServerSettings {
  const { settings, section } = parse(text, file);
  const valueOf = (name: string) =>
    settings.find((each) => each.section === section && each.name === name)?.value;
  return Object.fromEntries(SETTINGS.map((name) => [name, valueOf(name)]));
}

/**
 * `text` with these settings in the section that puppetserver reads first; undefined takes one out.
 * Throws Fault `puppetserver.config-unknown`.
 */
export function setServerSettings(text: string, wanted: ServerSettings, file: string): string {
  const { lines, settings, section, header } = parse(text, file);
  const edited: (string | undefined)[] = [...lines];
  const missing: string[] = [];
  for (const [name, value] of Object.entries(wanted)) {
    const found = settings.find((each) => each.section === section && each.name === name);
    if (found === undefined) {
      if (value !== undefined) missing.push(`${name} = ${value}`);
    } else if (value === undefined) edited[found.index] = undefined;
    else if (found.value !== value) edited[found.index] = `${name} = ${value}`;
  }
  if (missing.length > 0 && header === undefined) {
    while (edited.at(-1)?.trim() === "") edited.pop();
    edited.push(`[${section}]`, ...missing, "");
  } else if (missing.length > 0) edited.splice((header ?? 0) + 1, 0, ...missing);
  const result = edited.filter((line) => line !== undefined);
  return withoutEmptySection(result, section, settings.length > 0).join("\n");
}

/** A section of ours that nothing is left in goes as it came. */
function withoutEmptySection(lines: string[], section: string, wasThere: boolean): string[] {
  const at = lines.findLastIndex((line) => line.trim() === `[${section}]`);
  const isLast = at >= 0 && lines.slice(at + 1).every((line) => line.trim() === "");
  return isLast && wasThere ? [...lines.slice(0, at), ""] : lines;
}

/** `text` of puppetdb.conf with these URLs; the rest stays as it is. */
export function editPuppetdbConf(text: string, urls: readonly string[], file: string): string {
  const wanted = `server_urls = ${urls.join(",")}`;
  const { lines, settings } = parse(text, file);
  const strange = settings.find(({ section }) => section !== "main");
  if (strange !== undefined) {
    throw unknownConfig(file, strange.index + 1, "only a section [main] was expected");
  }
  const edited: (string | undefined)[] = [...lines];
  let done = false;
  for (const { index, name, value } of settings) {
    if (DROPPED.includes(name)) edited[index] = undefined;
    if (name !== "server_urls" && name !== "server" && name !== "port") continue;
    edited[index] = done || name !== "server_urls" ? undefined : wanted;
    if (name === "server_urls") {
      done = true;
      if (value === urls.join(",")) edited[index] = lines[index];
    }
  }
  if (!done) {
    const header = lines.findIndex((line) => /^\s*\[main\]/.test(line));
    if (header >= 0) edited.splice(header + 1, 0, wanted);
    else edited.splice(0, edited.length, "[main]", wanted, ...lines.filter((line) => line !== ""));
    if (edited.at(-1) !== "") edited.push("");
  }
  return edited.filter((line) => line !== undefined).join("\n");
}

export const ROUTES = `---
server:
  facts:
    terminus: puppetdb
    cache: yaml
`;

/** `text` of routes.yaml with facts from PuppetDB; other routes than that are refused. */
export function editRoutes(text: string, file: string): string {
  const plain = text
    .split("\n")
    .map((line) => line.replace(/\s+#.*$|^#.*$/, "").trimEnd())
    .filter((line) => line !== "" && line !== "---");
  if (plain.length === 0) return ROUTES;
  const shape = plain.map((line) => line.trim()).join("|");
  if (/^(?:server|master):\|facts:\|terminus: puppetdb(?:\|cache: yaml)?$/.test(shape)) return text;
  throw unknownConfig(file, 1, "it has routes of its own", `What it must say:\n${ROUTES}`);
}

function parse(text: string, file: string) {
  const lines = text.split("\n");
  const settings: Line[] = [];
  const headers = new Map<string, number>();
  let section = "main";
  lines.forEach((line, index) => {
    const opened = /^\s*\[([A-Za-z0-9_]+)\]\s*(?:#.*)?$/.exec(line)?.[1];
    if (opened !== undefined) {
      section = opened;
      if (!headers.has(opened)) headers.set(opened, index);
      return;
    }
    if (/^\s*(?:#.*)?$/.test(line)) return;
    const [, name, value] = /^\s*([A-Za-z0-9_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      const what = `a line NAME = VALUE was expected, found "${line.trim()}"`;
      throw unknownConfig(file, index + 1, what);
    }
    settings.push({ index, section, name, value });
  });
  const own = SECTIONS.find((name) => headers.has(name)) ?? "server";
  return { lines, settings, section: own, header: headers.get(own) };
}
