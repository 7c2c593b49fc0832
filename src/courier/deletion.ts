// The deletion of a node. To PuppetDB it is no command, but an administrator's act that is done at
// once; here it goes through the spool like one, and reaches each PuppetDB when that is up.

import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import type { CommandHead, Refusal } from "./command.ts";
import type { DeliveryAnswer } from "./delivery-plan.ts";
import type { PuppetDbClient } from "./puppetdb-client.ts";
import { queryPuppetdb } from "./query.ts";
import { readBody } from "../base/read-body.ts";

export const ADMIN_PATH = "/pdb/admin/v1/cmd";
const ANSWER_BYTES_MAX = 64 * 1024;
const CERTNAME = /^\S{1,250}$/;

const Act = z.object({ command: z.string(), version: z.number(), payload: z.unknown() });
const Payload = z.object({ certname: z.string() });
const Newest = z.array(z.object({ max: z.iso.datetime({ offset: true }).nullable() }));

/** Reads an act for `/pdb/admin/v1/cmd`; only a deletion is one for all PuppetDBs. */
export function readDeletion(
  body: Buffer,
  nowMs: number,
): { ok: true; head: CommandHead } | Refusal {
  const refuse = (status: 400 | 501, because: string): Refusal => ({ ok: false, status, because });
  let act: z.infer<typeof Act>;
  try {
    act = Act.parse(JSON.parse(body.toString("utf8")));
  } catch {
    return refuse(400, "the body is no JSON of command, version and payload");
  }
  if (act.command !== "delete") {
    return refuse(501, "of admin commands the courier takes delete only: send it to each PuppetDB");
  }
  if (act.version !== 1)
    return refuse(400, `version ${act.version} of delete is not supported, 1 is`);
  const payload = Payload.safeParse(act.payload);
  if (!payload.success || !CERTNAME.test(payload.data.certname)) {
    return refuse(400, "the payload has no certname");
  }
  const { certname } = payload.data;
  return { ok: true, head: { kind: "deletion", certname, producerMs: nowMs, query: "" } };
}

/** Deletes it, unless the PuppetDB has something of it that is newer. Never throws. */
export async function deleteNode(
  client: PuppetDbClient,
  { certname, producerMs }: { certname: string; producerMs: number },
  signal: AbortSignal,
): Promise<DeliveryAnswer> {
  try {
    for (const entity of ["factsets", "catalogs", "reports"]) {
      if ((await newestMs(client, entity, certname, signal)) > producerMs) {
        return { status: 200, body: "it is back" };
      }
    }
    const body = JSON.stringify({ command: "delete", version: 1, payload: { certname } });
    const incoming = await client.pass({
      method: "POST",
      path: ADMIN_PATH,
      headers: { accept: "application/json", "content-type": "application/json; charset=utf-8" },
      body: Buffer.from(body),
      signal,
    });
    const text = (await readBody(incoming, ANSWER_BYTES_MAX)).toString("utf8");
    return { status: incoming.statusCode ?? 0, body: text };
  } catch (error) {
    return { status: 0, body: messageOf(error) };
  }
}

async function newestMs(
  client: PuppetDbClient,
  entity: string,
  certname: string,
  signal: AbortSignal,
): Promise<number> {
  const where = ["and", ["=", "node_state", "any"], ["=", "certname", certname]];
  if (entity === "reports") where.push(["=", "type", "any"]);
  const newest = ["extract", [["function", "max", "producer_timestamp"]], where];
  const limits = { bytesMax: ANSWER_BYTES_MAX, signal };
  const [row] = Newest.parse(await queryPuppetdb(client, ["from", entity, newest], limits));
  return Date.parse(row?.max ?? "") || 0;
}
