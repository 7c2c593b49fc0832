// Dead letters on the courier's own socket, which only root opens: the list, one's body, and what
// an administrator wants done with some.

import type { IncomingMessage, ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import { isoTime } from "../host/clock.ts";
import type { Courier } from "./courier.ts";
import type { DeadLetter } from "./dead-letters.ts";
import { readBody } from "../base/read-body.ts";

export const DEAD_PATH = "/dead";
/** How many ids one order may name. */
export const DEAD_IDS_MAX = 1000;
const ORDER_BYTES_MAX = 64 * 1024;
const PLAIN_BYTES_MAX = 64 * 1024 * 1024;

/** What is to be done with which: those of these ids, or all; of one PuppetDB, or of any. */
export const DeadOrder = z.strictObject({
  act: z.enum(["retry", "delete"]),
  ids: z.array(z.uuid()).max(DEAD_IDS_MAX),
  all: z.boolean().default(false),
  puppetdb: z.string().optional(),
});
export type DeadOrder = z.infer<typeof DeadOrder>;

/** Answers requests to DEAD_PATH and below. Throws what is to be answered as 500. */
export async function serveDead(
  dead: Courier["dead"],
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const url = new URL(incoming.url ?? "/", "http://courier");
  const letters = await dead.list();
  if (incoming.method === "GET" && url.pathname === DEAD_PATH) {
    return answer(outgoing, 200, { dead: letters.map(describe) });
  }
  if (incoming.method === "GET" && url.pathname === `${DEAD_PATH}/body`) {
    const [letter] = choose(letters, {
      ids: url.searchParams.getAll("id"),
      all: false,
      puppetdb: url.searchParams.get("puppetdb") ?? undefined,
    });
    const body = letter && (await dead.body(letter));
    if (letter === undefined || body === undefined)
      return answer(outgoing, 404, { error: "there is no such one" });
    outgoing.writeHead(200, { "content-type": "application/json" });
    return void outgoing.end(plain(letter, body));
  }
  if (incoming.method !== "POST" || url.pathname !== DEAD_PATH) {
    return answer(outgoing, 404, { error: "there is nothing here" });
  }
  const text = (await readBody(incoming, ORDER_BYTES_MAX)).toString("utf8");
  const order = DeadOrder.parse(JSON.parse(text));
  const chosen = choose(letters, order);
  const missing = order.ids.filter((id) => !chosen.some(({ head }) => head.id === id));
  // All or nothing: an id that is wrong may be one of several that are.
  if (missing.length > 0) return answer(outgoing, 404, { missing });
  const stray = chosen.find(({ puppetdb }) => !dead.targets.includes(puppetdb));
  if (order.act === "retry" && stray !== undefined) {
    return answer(outgoing, 409, { error: `couriers know no PuppetDB ${stray.puppetdb} any more` });
  }
  for (const [done, letter] of chosen.entries()) {
    try {
      if (order.act === "retry") await dead.retry(letter);
      else await dead.remove(letter);
    } catch (error) {
      return answer(outgoing, 500, { error: messageOf(error), done });
    }
  }
  return answer(outgoing, 200, { dead: chosen.map(describe) });
}

/** Those of `letters` that an order means. */
export function choose(
  letters: readonly DeadLetter[],
  { ids, all, puppetdb }: Pick<DeadOrder, "ids" | "all"> & { puppetdb?: string | undefined },
): DeadLetter[] {
  return letters.filter(
    (letter) =>
      (all || ids.includes(letter.head.id)) &&
      (puppetdb === undefined || letter.puppetdb === puppetdb),
  );
}

function describe({ puppetdb, head, because, bytes }: DeadLetter) {
  const { id, kind, certname, takenMs, producerMs } = head;
  const times = { takenAt: isoTime(takenMs), producedAt: isoTime(producerMs) };
  return { id, puppetdb, kind, certname, ...times, bytes, because };
}

/** A body for people; one that can't be unpacked stays as it came. */
function plain({ head }: DeadLetter, body: Buffer): Buffer {
  if (head.encoding !== "gzip") return body;
  try {
    return gunzipSync(body, { maxOutputLength: PLAIN_BYTES_MAX });
  } catch {
    return body;
  }
}

function answer(outgoing: ServerResponse, status: number, value: object): void {
  outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}
