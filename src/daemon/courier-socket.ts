// Asks the courier of this server on its own socket.

import { request } from "node:http";
import { deadline } from "../base/retry.ts";
import { readBody } from "../courier/read-body.ts";
import { PATHS } from "../host/paths.ts";

const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

/** Resolves with the JSON that it answers. Throws why it doesn't, or what it says instead. */
export async function askCourier(
  method: "GET" | "POST",
  path: string,
  withinMs: number,
): Promise<unknown> {
  const text = await new Promise<string>((resolve, reject) => {
    const signal = deadline(withinMs);
    const outgoing = request({ socketPath: PATHS.courierSocket, method, path, signal });
    outgoing.on("error", (error) => {
      reject(signal.aborted ? new Error(`it hasn't answered within ${withinMs} ms`) : error);
    });
    outgoing.on("response", (incoming) => {
      readBody(incoming, ANSWER_BYTES_MAX).then((bytes) => {
        const said = bytes.toString("utf8");
        if (incoming.statusCode === 200) resolve(said);
        else reject(new Error(said.slice(0, 300)));
      }, reject);
    });
    outgoing.end();
  });
  return JSON.parse(text);
}
