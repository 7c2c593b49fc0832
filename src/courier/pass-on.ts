// A request passed on to a PuppetDB, and its answer back. Danger: an answer that breaks off must
// break the connection off too, or a client takes half of its exported resources for all of them.

import type { IncomingMessage, ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { messageOf } from "../base/fault.ts";
import { type PuppetDbClient, UNREACHED_HEADER } from "./puppetdb-client.ts";

/** PuppetDB's own longest query by default, and a little, milliseconds. */
export const PASS_MS = 620_000;

/** Headers that belong to one connection, not to the request or answer. */
const HOP = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "content-length",
]);

/** No answer came, so that the request may be sent to another PuppetDB. */
export class Unreached extends Error {}

export interface PassedOn {
  incoming: IncomingMessage;
  outgoing: ServerResponse;
  /** Path and query at the PuppetDB. */
  path: string;
  body: Buffer;
}

/**
 * Resolves when the whole answer is with the client; throws Unreached while nothing is, and what
 * broke it off later.
 */
export async function passOn(puppetdb: PuppetDbClient, request: PassedOn): Promise<void> {
  const { incoming, outgoing, path, body } = request;
  const gone = new AbortController();
  outgoing.on("close", () => gone.abort());
  const options = {
    method: incoming.method ?? "GET",
    path,
    headers: withoutHops(incoming),
    ...(body.length === 0 ? {} : { body }),
    signal: AbortSignal.any([gone.signal, AbortSignal.timeout(PASS_MS)]),
  };
  const answer = await puppetdb.pass(options).catch((error: unknown) => {
    throw new Unreached(messageOf(error));
  });
  if (answer.headers[UNREACHED_HEADER] !== undefined) {
    answer.resume();
    throw new Unreached(String(answer.headers[UNREACHED_HEADER]));
  }
  outgoing.writeHead(answer.statusCode ?? 502, withoutHops(answer));
  // A failure destroys both: the client sees a connection that broke off.
  await pipeline(answer, outgoing);
}

function withoutHops({ headers }: IncomingMessage): Record<string, string> {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || HOP.has(name)
      ? []
      : [[name, Array.isArray(value) ? value.join(", ") : value] as const],
  );
  return Object.fromEntries(pairs);
}
