// How commands and the daemon reach the courier of this server: HTTP over its root-only socket.

import { request } from "node:http";
import { deadline } from "../base/retry.ts";
import { readBody } from "../base/read-body.ts";
import { PATHS } from "../host/paths.ts";

const ANSWER_BYTES_MAX = 68 * 1024 * 1024;

interface Asking {
  /** Makes it a POST, with this as JSON. */
  order?: unknown;
  withinMs: number;
}

/** The JSON of its 200. Throws why it doesn't answer, or what it says instead. */
export async function askCourierJson(path: string, asking: Asking): Promise<unknown> {
  const { status, text } = await askCourier(path, asking);
  if (status === 200) return JSON.parse(text);
  throw new Error(text.slice(0, 300));
}

/** Throws why it doesn't answer. */
export async function askCourier(
  path: string,
  { order, withinMs }: Asking,
): Promise<{ status: number; text: string }> {
  const signal = deadline(withinMs);
  const method = order === undefined ? "GET" : "POST";
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath: PATHS.courierSocket, path, method, signal });
    outgoing.on("error", (error) => {
      reject(signal.aborted ? new Error(`it hasn't answered within ${withinMs} ms`) : error);
    });
    outgoing.on("response", (incoming) => {
      readBody(incoming, ANSWER_BYTES_MAX).then((bytes) => {
        resolve({ status: incoming.statusCode ?? 0, text: bytes.toString("utf8") });
      }, reject);
    });
    outgoing.end(order === undefined ? undefined : JSON.stringify(order));
  });
}
