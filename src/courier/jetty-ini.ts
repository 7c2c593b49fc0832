// PuppetDB's jetty.ini: it listens on loopback alone, in plain HTTP, since the courier has its
// port. Pure text edit. Danger: whoever reaches that port may do anything, so a listener in a form
// that isn't understood is refused.

import { Fault } from "../base/fault.ts";

const HOST = "127.0.0.1";
const PORT = 8080;
export const LOCAL_PUPPETDB = `http://${HOST}:${PORT}`;

/** `text` of jetty.ini with one listener on loopback. Throws Fault `puppetdb.config-unknown`. */
export function editJettyIni(text: string, file: string): string {
  const lines = text.split("\n");
  const edited: string[] = [];
  let header = -1;
  const seen = new Set<string>();
  lines.forEach((line, index) => {
    const opened = /^\s*\[([^\]]+)\]\s*(?:[#;].*)?$/.exec(line)?.[1]?.trim();
    if (opened !== undefined) {
      if (opened !== "jetty" || header >= 0) {
        throw unknown(file, index + 1, `one section [jetty] was expected, found [${opened}]`);
      }
      header = edited.push(line) - 1;
      return;
    }
    if (/^\s*(?:[#;].*)?$/.test(line)) return void edited.push(line);
    const [, name] = /^\s*([A-Za-z0-9_.-]+)\s*[=:]/.exec(line) ?? [];
    if (name === undefined || header < 0) {
      throw unknown(file, index + 1, `a line NAME = VALUE was expected, found "${line.trim()}"`);
    }
    if (name === "ssl-host" || name === "ssl-port") return void edited.push(`# ${line.trim()}`);
    if (name === "host" || name === "port") {
      seen.add(name);
      return void edited.push(wanted(name));
    }
    edited.push(line);
  });
  if (header < 0) throw unknown(file, 1, "a section [jetty] was expected, the file has none");
  const missing = (["host", "port"] as const).filter((name) => !seen.has(name));
  edited.splice(header + 1, 0, ...missing.map(wanted));
  return edited.join("\n");
}

function wanted(name: "host" | "port"): string {
  return name === "host" ? `host = ${HOST}` : `port = ${PORT}`;
}

function unknown(file: string, line: number, what: string): Fault {
  return new Fault("puppetdb.config-unknown", `${file}:${line}: ${what}`, {
    hints: ["Nothing was changed. Put this file into a form that is understood, or to stock."],
  });
}

/** The path in `[puppetdb] certificate-allowlist` of one of PuppetDB's ini files, if it is there. */
export function allowlistIn(text: string): string | undefined {
  return /^\s*certificate-(?:allowlist|whitelist)\s*[=:]\s*(\/\S*)\s*$/m.exec(text)?.[1];
}

/** Certnames in an allowlist: one a line. */
export function parseAllowlist(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim())
    .filter((line) => line !== "");
}
