// Waits for the answer to a request that may go out on a kept connection. Danger: the other side
// closes idle connections, also in the moment in which one is used again; nobody has read such a
// request, and its failure says nothing of the other side.

import type { ClientRequest, IncomingMessage } from "node:http";

/** What a write to a connection fails with that the other side has closed. */
const CLOSED = new Set(["ECONNRESET", "EPIPE"]);

/**
 * Starts a request that may be sent twice, ends it with `body`, and resolves with the head of the
 * answer. Sent anew while kept connections prove closed; rejects with what any other failure was.
 */
export async function answerOf(
  start: () => ClientRequest,
  body?: Buffer | string,
): Promise<IncomingMessage> {
  for (;;) {
    try {
      return await onceOf(start(), body);
    } catch (error) {
      // A new connection is never reused, so that this ends with the first of them.
      if (!(error instanceof ClosedMeanwhile)) throw error;
    }
  }
}

class ClosedMeanwhile extends Error {}

async function onceOf(outgoing: ClientRequest, body?: Buffer | string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("response", resolve);
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const closed = outgoing.reusedSocket && CLOSED.has(error.code ?? "");
      reject(closed ? new ClosedMeanwhile() : error);
    });
    outgoing.end(body);
  });
}
