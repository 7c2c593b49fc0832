// Reads a PuppetDB: what it has in short, and whole rows by name. Every answer is read row by row,
// and has a limit in time.

import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { z } from "zod";
import { deadline } from "../../base/retry.ts";
import { isoTime } from "../../host/clock.ts";
import type { PuppetDbClient } from "../puppetdb-client.ts";
import { readBody } from "../../base/read-body.ts";
import type { RowKind } from "./command-of.ts";
import { rowsIn } from "./rows.ts";
import type { NodeSummary, ReportStamp, Summary, Window } from "./summary.ts";

const QUERY_MS = 120_000;
const SUMMARY_ROW_BYTES_MAX = 64 * 1024;
/** A row of an entity; more than any command may have. */
const ROW_BYTES_MAX = 64 * 1024 * 1024;
const SHORT_BYTES_MAX = 1024 * 1024;
const SHORT_MS = 10_000;
/** What PuppetDB's log names us by. */
const HEADERS = { accept: "application/json", "user-agent": "Understudy sync" };

type Query = readonly unknown[];
const ANY_NODE: Query = ["=", "node_state", "any"];

const Time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));
const Entity = z.object({
  certname: z.string(),
  hash: z.string().default(""),
  producer_timestamp: Time,
});
const Node = z.object({
  certname: z.string(),
  deactivated: Time.nullable(),
  expired: Time.nullable(),
  expires_facts_updated: Time.nullable().default(null),
});
const Count = z.object({ count: z.int() });
const Version = z.object({ version: z.string() });
const Process = z.object({
  status: z.object({
    experimental: z.object({ "jvm-metrics": z.object({ "start-time-ms": z.number() }) }),
  }),
});

/** The release that it is: "7.12.1". Throws. */
export async function readVersion(client: PuppetDbClient, signal: AbortSignal): Promise<string> {
  return Version.parse(await askShort(client, "/pdb/meta/v1/version", signal)).version;
}

/** When its process started, milliseconds since the epoch; undefined where it doesn't say. */
export async function readStarted(
  client: PuppetDbClient,
  withinMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const path = "/status/v1/services/status-service?level=debug";
  const asked = askShort(client, path, deadline(withinMs, signal));
  const answer = Process.safeParse(await asked.catch(() => undefined));
  return answer.data?.status.experimental["jvm-metrics"]["start-time-ms"];
}

/** Of every node, those that are gone among them. Throws. */
export async function readSummary(client: PuppetDbClient, signal: AbortSignal): Promise<Summary> {
  const nodes = new Map<string, NodeSummary>();
  const nodeOf = (certname: string) => {
    const node = nodes.get(certname) ?? {};
    nodes.set(certname, node);
    return node;
  };
  const entities = [
    ["catalog", "catalogs", ["certname", "hash", "producer_timestamp"]],
    ["facts", "factsets", ["certname", "hash", "producer_timestamp"]],
    ["inputs", "catalog_inputs", ["certname", "producer_timestamp"]],
  ] as const;
  for (const [kind, entity, columns] of entities) {
    for await (const text of query(
      client,
      ["from", entity, ["extract", columns, ANY_NODE]],
      SUMMARY_ROW_BYTES_MAX,
      signal,
    )) {
      const { certname, hash, producer_timestamp: ms } = Entity.parse(JSON.parse(text));
      nodeOf(certname)[kind] = { ms, hash };
    }
  }
  const path = `/pdb/query/v4/nodes?include_facts_expiration=true&query=${escape(ANY_NODE)}`;
  for await (const text of rowsOf(client, { path, bytesMax: SUMMARY_ROW_BYTES_MAX }, signal)) {
    const row = Node.parse(JSON.parse(text));
    const node = nodeOf(row.certname);
    const { deactivated, expired, expires_facts_updated: revived } = row;
    if (deactivated !== null) node.deactivatedMs = deactivated;
    if (expired !== null) node.expiredMs = expired;
    if (revived !== null) node.revivedMs = revived;
  }
  return nodes;
}

/** How many reports there are of a window. Throws. */
export async function countReports(
  client: PuppetDbClient,
  window: Window,
  signal: AbortSignal,
): Promise<number> {
  const count = ["extract", [["function", "count"]], within(window)];
  const rows = query(client, ["from", "reports", count], SUMMARY_ROW_BYTES_MAX, signal);
  for await (const text of rows) return Count.parse(JSON.parse(text)).count;
  return 0;
}

/** The reports of a window. Throws. */
export async function* readReports(
  client: PuppetDbClient,
  window: Window,
  signal: AbortSignal,
): AsyncGenerator<ReportStamp> {
  const columns = ["certname", "hash", "producer_timestamp"];
  const ast = ["from", "reports", ["extract", columns, within(window)]];
  for await (const text of query(client, ast, SUMMARY_ROW_BYTES_MAX, signal)) {
    const { certname, hash, producer_timestamp: ms } = Entity.parse(JSON.parse(text));
    yield { certname, hash, ms };
  }
}

/** Whole rows: of `names`, which are certnames, or hashes of reports. Throws. */
export function readRows(
  client: PuppetDbClient,
  kind: RowKind,
  names: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<string> {
  const list = ["array", names];
  if (kind === "facts") {
    // Only this form of the query gives packages.
    const ast = ["and", ANY_NODE, ["in", "certname", list]];
    const path = `/pdb/query/v4/factsets?include_package_inventory=true&query=${escape(ast)}`;
    return rowsOf(client, { path, bytesMax: ROW_BYTES_MAX }, signal);
  }
  const ast =
    kind === "report"
      ? ["from", "reports", ["and", ANY_TYPE, ANY_NODE, ["in", "hash", list]]]
      : ["from", ENTITY_OF[kind], ["and", ANY_NODE, ["in", "certname", list]]];
  return query(client, ast, ROW_BYTES_MAX, signal);
}

const ENTITY_OF = { catalog: "catalogs", inputs: "catalog_inputs" } as const;
/** Reports of plans too. */
const ANY_TYPE: Query = ["=", "type", "any"];

function within({ fromMs, toMs }: Window): Query {
  const from = [">=", "producer_timestamp", isoTime(fromMs)];
  return ["and", ANY_TYPE, ANY_NODE, from, ["<", "producer_timestamp", isoTime(toMs)]];
}

function escape(ast: Query): string {
  return encodeURIComponent(JSON.stringify(ast));
}

function query(
  client: PuppetDbClient,
  ast: Query,
  bytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const body = Buffer.from(JSON.stringify({ query: ast }));
  return rowsOf(client, { path: "/pdb/query/v4", body, bytesMax }, signal);
}

async function* rowsOf(
  client: PuppetDbClient,
  { path, body, bytesMax }: { path: string; body?: Buffer; bytesMax: number },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const answer = await client.pass({
    method: body === undefined ? "GET" : "POST",
    path,
    headers: {
      ...HEADERS,
      "accept-encoding": "gzip",
      ...(body && { "content-type": "application/json" }),
    },
    ...(body && { body }),
    signal: deadline(QUERY_MS, signal),
  });
  await requireSuccess(answer);
  yield* rowsIn(unpacked(answer), bytesMax);
}

function unpacked(answer: IncomingMessage): AsyncIterable<Buffer> {
  if (answer.headers["content-encoding"] !== "gzip") return answer;
  // What breaks the answer off breaks the reading off.
  return pipeline(answer, createGunzip(), () => undefined);
}

async function askShort(
  client: PuppetDbClient,
  path: string,
  signal: AbortSignal,
): Promise<unknown> {
  const within = deadline(SHORT_MS, signal);
  const answer = await client.pass({ method: "GET", path, headers: HEADERS, signal: within });
  await requireSuccess(answer);
  return JSON.parse((await readBody(answer, SHORT_BYTES_MAX)).toString("utf8"));
}

async function requireSuccess(answer: IncomingMessage): Promise<void> {
  if (answer.statusCode === 200) return;
  const said = (await readBody(answer, SHORT_BYTES_MAX)).toString("utf8").slice(0, 300).trim();
  throw new Error(`it answers ${answer.statusCode ?? 0}: ${said}`);
}
