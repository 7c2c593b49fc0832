// How commands and the daemon reach the courier of this server: HTTP over its root-only socket.

import { request } from "node:http";
import { deadline } from "../base/retry.ts";
import { readBody } from "../courier/read-body.ts";
import { PATHS } from "../host/paths.ts";

const ANSWER_BYTES_MAX = 68 * 1024 * 1024;

/** Asks the courier. Throws why it doesn't answer. */
export async function askCourier(
  path: string,
  { order, withinMs }: { order?: unknown; withinMs: number },
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
