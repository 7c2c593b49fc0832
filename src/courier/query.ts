// A query of our own to a PuppetDB, in its AST.

import type { PuppetDbClient } from "./puppetdb-client.ts";
import { readBody } from "../base/read-body.ts";

/** What it answers, as JSON. Throws its words where that isn't 200, or why it can't be asked. */
export async function queryPuppetdb(
  client: PuppetDbClient,
  query: unknown[],
  { bytesMax, signal }: { bytesMax: number; signal: AbortSignal },
): Promise<unknown> {
  const path = `/pdb/query/v4?query=${encodeURIComponent(JSON.stringify(query))}`;
  const headers = { accept: "application/json" };
  const incoming = await client.pass({ method: "GET", path, headers, signal });
  const text = (await readBody(incoming, bytesMax)).toString("utf8");
  if (incoming.statusCode === 200) return JSON.parse(text);
  throw new Error(`${incoming.statusCode ?? 0}: ${text.slice(0, 300).trim()}`);
}
