// webserver.conf: puppetserver gets a listener of its own, which trusts the edge CA and nothing
// else. Danger: whoever this listener trusts can claim to be any agent, so a plain HTTP port, a
// second server or a setting that isn't known is refused rather than kept.

import {
  type HoconEntry,
  type HoconValue,
  lineAt,
  parseHoconPlaces,
  renderScalar,
  unknownConfig,
} from "./hocon-places.ts";

/** puppetserver's own listener, behind the edges. Paths are PEM files that its user may read. */
export interface ListenerConfig {
  address: string;
  port: number;
  cert: string;
  /** PKCS#8. */
  key: string;
  /** The edge CA, or a bundle of it. */
  caCert: string;
  /**
   * Must hold one valid CRL for each CA in `caCert`: Jetty refuses everybody without it, or past
   * its nextUpdate.
   */
  crl: string;
}

/** Settings that stay as they are: sizes, timeouts, ciphers, logging. */
const KEPT = new Set([
  "access-log-config",
  "acceptor-threads",
  "selector-threads",
  "ssl-acceptor-threads",
  "ssl-selector-threads",
  "max-threads",
  "queue-max-size",
  "request-header-max-size",
  "request-body-max-size",
  "idle-timeout-milliseconds",
  "so-linger-seconds",
  "cipher-suites",
  "ssl-protocols",
  "jmx-enable",
  "gzip-enable",
  "shutdown-timeout-seconds",
  "allow-renegotiation",
]);

const PLAIN_HINT =
  "A plain HTTP port lets anybody who reaches it claim to be any agent. Remove it first.";

/**
 * `text` with the listener set. Unchanged when it is. Throws Fault `puppetserver.config-unknown`.
 */
export function editWebserverConf(text: string, listener: ListenerConfig, file: string): string {
  const block = webserverBlock(text, file);
  const wanted = wantedSettings(listener);
  for (const entry of block.entries) refuseUnknown(entry, wanted, file);

  const edits: { start: number; end: number; text: string }[] = [];
  const missing: string[] = [];
  for (const [key, value] of Object.entries(wanted)) {
    const entry = block.entries.find((each) => each.key === key);
    if (entry === undefined) missing.push(`${key}: ${renderScalar(value)}`);
    else if (entry.value.kind === "scalar" && entry.value.text !== value) {
      edits.push({ start: entry.value.start, end: entry.value.end, text: renderScalar(value) });
    }
  }
  if (missing.length > 0) edits.push(insertion(text, block, missing));
  return edits
    .sort((a, b) => b.start - a.start)
    .reduce(
      (edited, { start, end, text }) => edited.slice(0, start) + text + edited.slice(end),
      text,
    );
}

function wantedSettings(listener: ListenerConfig): Record<string, string> {
  return {
    "client-auth": "need",
    "ssl-host": listener.address,
    "ssl-port": String(listener.port),
    "ssl-cert": listener.cert,
    "ssl-key": listener.key,
    "ssl-ca-cert": listener.caCert,
    "ssl-crl-path": listener.crl,
  };
}

type Block = Extract<HoconValue, { kind: "block" }>;

function webserverBlock(text: string, file: string): Block {
  const top = parseHoconPlaces(text, file);
  const [only] = top;
  if (only === undefined) {
    throw unknownConfig(file, 1, 'a block "webserver" was expected, the file has none');
  }
  const other = top.find((entry) => entry.key !== "webserver");
  if (other !== undefined) {
    throw unknownConfig(file, other.line, `only "webserver" was expected, found "${other.key}"`);
  }
  if (only.value.kind !== "block") {
    throw unknownConfig(file, only.line, '"webserver" was expected to be a block');
  }
  return only.value;
}

function refuseUnknown(entry: HoconEntry, wanted: Record<string, string>, file: string): void {
  const { key, line, value } = entry;
  if (KEPT.has(key)) return;
  if (value.kind === "block") {
    throw unknownConfig(file, line, `one server was expected, "${key}" is a block of its own`);
  }
  if (key === "port" || key === "host") {
    throw unknownConfig(file, line, `"${key}" sets a plain HTTP listener`, PLAIN_HINT);
  }
  if (!Object.hasOwn(wanted, key)) {
    throw unknownConfig(
      file,
      line,
      `"${key}" is a setting that Understudy doesn't know how to keep`,
    );
  }
  if (value.kind !== "scalar") {
    throw unknownConfig(file, line, `one value was expected for "${key}"`);
  }
}

/** New lines at the end of the block, indented as its first entry is. */
function insertion(text: string, block: Block, lines: string[]) {
  const first = block.entries[0];
  const lead =
    first === undefined ? "" : text.slice(text.lastIndexOf("\n", first.start) + 1, first.start);
  const indent = /^[ \t]+$/.test(lead) ? lead : "    ";
  const body = text.slice(block.open, block.close).trimEnd();
  const start = block.open + body.length;
  const oneLine = lineAt(text, block.open) === lineAt(text, block.close);
  const tail = oneLine || !text.slice(start, block.close).includes("\n") ? "\n" : "";
  return { start, end: start, text: lines.map((line) => `\n${indent}${line}`).join("") + tail };
}
