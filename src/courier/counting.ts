// A look at what a PuppetDB has, for the guard: five small queries, one after the other. None of
// them reads what a node's catalog says, so that they stay cheap with a hundred thousand nodes.

import { z } from "zod";
import type { Counts } from "./guard.ts";
import type { PuppetDbClient } from "./puppetdb-client.ts";
import { queryPuppetdb } from "./query.ts";

const ANSWER_BYTES_MAX = 64 * 1024;
const ANY_STATE = ["=", "node_state", "any"];
const HOW_MANY = ["extract", [["function", "count"]]];

const Count = z.tuple([z.object({ count: z.int() })]);
const Time = z.array(z.object({ producer_timestamp: z.iso.datetime({ offset: true }) })).max(1);

/** Throws why it can't be counted. */
export async function countPuppetdb(
  client: PuppetDbClient,
  signal: AbortSignal,
): Promise<Omit<Counts, "deleted">> {
  const query = async (ast: unknown[]) =>
    queryPuppetdb(client, ast, { bytesMax: ANSWER_BYTES_MAX, signal });
  const count = async (entity: string, where: unknown[]) => {
    const [row] = Count.parse(await query(["from", entity, [...HOW_MANY, where]]));
    return row.count;
  };
  const active = await count("nodes", ["=", "node_state", "active"]);
  const deactivated = await count("nodes", ["and", ANY_STATE, ["null?", "deactivated", false]]);
  const exported = await count("resources", ["=", "exported", true]);
  const catalogs = await count("catalogs", ANY_STATE);
  const [middle] = Time.parse(
    await query([
      "from",
      "catalogs",
      ["extract", ["producer_timestamp"], ANY_STATE],
      ["order_by", ["producer_timestamp"]],
      ["limit", 1],
      ["offset", Math.floor(catalogs / 2)],
    ]),
  );
  const halfSinceMs = middle === undefined ? 0 : Date.parse(middle.producer_timestamp);
  return { active, deactivated, exported, catalogs, halfSinceMs };
}
