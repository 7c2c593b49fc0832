// auth.conf: puppetserver believes the identity headers that the edge sets. Safe only because its
// listener lets nobody in but edges (webserver-conf.ts); the two are always written together.

import { parseHoconPlaces, unknownConfig } from "./hocon-places.ts";

const KEY = "allow-header-cert-info";

/**
 * `text` with allow-header-cert-info: true in its authorization block. Throws Fault
 * `puppetserver.config-unknown`.
 */
export function editAuthConf(text: string, file: string): string {
  const top = parseHoconPlaces(text, file);
  const block = top.find((entry) => entry.key === "authorization");
  if (block === undefined) {
    throw unknownConfig(file, 1, 'a block "authorization" was expected, the file has none');
  }
  const listener = top.find((entry) => entry.key === "webserver");
  if (listener !== undefined) {
    throw unknownConfig(file, listener.line, '"webserver" was expected in webserver.conf alone');
  }
  const { value } = block;
  if (value.kind !== "block") {
    throw unknownConfig(file, block.line, '"authorization" was expected to be a block');
  }
  const entry = value.entries.find((each) => each.key === KEY);
  if (entry === undefined) {
    return `${text.slice(0, value.open)}\n    ${KEY}: true${separator(text, value.open)}${text.slice(value.open)}`;
  }
  if (entry.value.kind !== "scalar") {
    throw unknownConfig(file, entry.line, `true or false was expected for ${KEY}`);
  }
  if (entry.value.text === "true") return text;
  return `${text.slice(0, entry.value.start)}true${text.slice(entry.value.end)}`;
}

/** What follows the brace on the same line would else become part of our line. */
function separator(text: string, open: number): string {
  const rest = text.slice(open).split("\n", 1)[0] ?? "";
  return rest.trim() === "" ? "" : "\n";
}
