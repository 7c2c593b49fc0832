// What HAProxy's sockets answer, read into plain data. Pure. Columns are found by their titles,
// since their order differs between versions; a line that isn't understood is left out.

/** A worker process. Former ones finish what they had before a reload. */
export interface EdgeWorker {
  pid: number;
  former: boolean;
}

/** One row of `show stat`. */
export interface StatRow {
  proxy: string;
  /** A server's name, or FRONTEND or BACKEND. */
  server: string;
  /** "UP", "DOWN", "DOWN 1/2", "MAINT", "DRAIN", "no check", … */
  status: string;
  /** Outcome of the last check: "L7OK", "L7STS", "L4CON", "L6TOUT", … Empty without checks. */
  check: string;
  /** HTTP status of the last check. */
  checkCode: number | undefined;
  sessions: number;
  queued: number;
  maxconn: number | undefined;
  /** Whether it takes requests only while no other server is up. */
  lastResort: boolean;
  /** Seconds since the status changed. */
  sinceS: number;
  /** Requests that were given to another server. */
  redispatched: number;
  /** Requests that it was given since HAProxy last loaded its configuration. */
  total: number;
  /** How long it took to answer, mean of its last 1024 requests, milliseconds. */
  responseMs: number;
}

/** Reads the master's `show proc`. */
export function parseWorkers(text: string): EdgeWorker[] {
  const workers: EdgeWorker[] = [];
  let former = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("# old workers")) former = true;
    else if (line.startsWith("# ")) former = false;
    const pid = /^(\d+)\s+worker\s/.exec(line)?.[1];
    if (pid !== undefined) workers.push({ pid: Number(pid), former });
  }
  return workers;
}

/** Reads `show stat`. */
export function parseStat(text: string): StatRow[] {
  return parseTable(text, ",").map((cell) => ({
    proxy: cell("pxname"),
    server: cell("svname"),
    status: cell("status"),
    check: cell("check_status").replace(/^\* /, ""),
    checkCode: numberOf(cell("check_code")),
    sessions: numberOf(cell("scur")) ?? 0,
    queued: numberOf(cell("qcur")) ?? 0,
    maxconn: numberOf(cell("slim")),
    lastResort: cell("bck") === "1",
    sinceS: numberOf(cell("lastchg")) ?? 0,
    redispatched: numberOf(cell("wredis")) ?? 0,
    total: numberOf(cell("stot")) ?? 0,
    responseMs: numberOf(cell("rtime")) ?? 0,
  }));
}

/** Reads the "Name: value" lines of `show info`. */
export function parseInfo(text: string): Map<string, string> {
  const entries = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) entries.set(line.slice(0, colon), line.slice(colon + 2).trim());
  }
  return entries;
}

/** A node whose catalog took two puppetservers with it. */
export interface Poisonous {
  certname: string;
  /** Seconds since the epoch. */
  at: number;
  /** The servers that were lost, as far as they are known. */
  servers: string[];
}

/** Reads `show map` of poison.map, or the file itself. */
export function parsePoison(text: string): Poisonous[] {
  const found: Poisonous[] = [];
  for (const line of text.split("\n")) {
    const match = /^(?:0x[0-9a-f]+ )?(\S+) (\d+)\|(\S*)$/.exec(line.trim());
    if (match === null) continue;
    const [, certname = "", at = "", servers = ""] = match;
    const names = servers.split(",").filter((name) => name !== "" && name !== "-");
    found.push({ certname, at: Number(at), servers: names });
  }
  return found;
}

/** The text of poison.map. */
export function renderPoison(entries: readonly Poisonous[]): string {
  return entries
    .map(({ certname, at, servers }) => `${certname} ${at}|${servers.join(",")}\n`)
    .join("");
}

type Cell = (title: string) => string;

function parseTable(text: string, separator: string): Cell[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const [head, ...rest] = lines;
  if (head?.startsWith("# ") !== true) return [];
  const columns = new Map(
    head
      .slice(2)
      .split(separator)
      .map((title, index) => [title, index]),
  );
  return rest.map((line) => {
    const cells = line.split(separator);
    return (title) => cells[columns.get(title) ?? -1] ?? "";
  });
}

function numberOf(text: string): number | undefined {
  return /^-?\d+$/.test(text) ? Number(text) : undefined;
}
