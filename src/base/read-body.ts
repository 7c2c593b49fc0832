// The body of a request or of an answer in memory, up to a limit.

import type { IncomingMessage } from "node:http";

export class BodyTooLong extends Error {}

/** Throws BodyTooLong; or what broke the request off. */
export async function readBody(incoming: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const tooLong = () => new BodyTooLong(`the body is longer than ${bytesMax} bytes`);
  if (Number(incoming.headers["content-length"] ?? 0) > bytesMax) throw tooLong();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    const piece = chunk as Buffer;
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLong();
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}
