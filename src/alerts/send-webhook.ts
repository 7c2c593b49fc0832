// One POST to one webhook, within a deadline. Redirects aren't followed: the URL is a secret, and
// whoever is redirected to isn't who was named. Danger: the URL must not come into any text.

import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { getCACertificates } from "node:tls";
import { messageOf } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { deadline } from "../base/retry.ts";
import type { Sent } from "./send-mail.ts";

/** What is read of an answer, bytes. */
const ANSWER_BYTES_MAX = 4096;
const SAID_MAX = 150;
/** Shorter pieces of a URL stand in any text. */
const SECRET_CHARS_MIN = 6;
/** Answers to a body that isn't liked: too large, or something in it. */
const OF_BODY: ReadonlySet<number> = new Set([400, 413, 415, 422]);

/** Sends it. Never throws: says why it wasn't taken. `ca`: PEM, trusted besides the system's. */
export async function sendWebhook(
  url: string,
  body: string,
  options: { ca: readonly string[]; withinMs: number },
): Promise<Sent> {
  const to = URL.parse(url);
  if (to === null) return { ok: false, because: "its URL is none" };
  const signal = deadline(options.withinMs);
  try {
    const { status, said } = await post(to, body, options.ca, signal);
    if (status >= 200 && status < 300) return { ok: true, because: "" };
    const more = status < 400 ? " (redirects aren't followed)" : "";
    const because = `it answers ${status}${said === "" ? "" : `: ${said}`}${more}`;
    return { ok: false, because, ...(OF_BODY.has(status) && { refused: "itself" }) };
  } catch (error) {
    const because = signal.aborted
      ? `it hasn't answered within ${Math.round(options.withinMs / 1000)} s`
      : `it doesn't answer: ${oneLine(withoutSecret(messageOf(error), to), SAID_MAX)}`;
    return { ok: false, because };
  }
}

/** Many receivers say in their answer what they were asked for: then nothing of it is told. */
function withoutSecret(said: string, { pathname, search, username, password }: URL): string {
  const pieces = [...pathname.split("/"), ...search.slice(1).split(/[&=]/), username, password];
  const plain = pieces.flatMap((piece) => [piece, decoded(piece)]);
  const secrets = plain.filter((piece) => piece.length >= SECRET_CHARS_MIN);
  return secrets.some((secret) => said.includes(secret)) ? "" : said;
}

function decoded(piece: string): string {
  try {
    return decodeURIComponent(piece);
  } catch {
    return piece;
  }
}

async function post(
  to: URL,
  body: string,
  ca: readonly string[],
  signal: AbortSignal,
): Promise<{ status: number; said: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      method: "POST",
      headers: {
        "content-type": "application/json; charset=utf-8",
        "content-length": String(Buffer.byteLength(body)),
      },
      signal,
      // Each alert has a connection of its own: a kept one may be dead by the next.
      agent: false,
    };
    const trust = { ca: [...ca, ...getCACertificates("system"), ...getCACertificates()] };
    const outgoing =
      to.protocol === "https:"
        ? httpsRequest(to, { ...options, ...trust })
        : httpRequest(to, options);
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      readStart(incoming).then((text) => {
        const said = oneLine(withoutSecret(text.trim(), to), SAID_MAX);
        resolve({ status: incoming.statusCode ?? 0, said });
        // Whatever else it has to say.
        outgoing.destroy();
      }, reject);
    });
    outgoing.end(body);
  });
}

async function readStart(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= ANSWER_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString("utf8", 0, ANSWER_BYTES_MAX);
}
