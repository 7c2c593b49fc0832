// Small pieces of HTTP that puppet-ca/v1 is made of: exact texts, bounded bodies, strict paths.

import { inForeground } from "./pieces.ts";
import { URL_NAME } from "./certname.ts";

/** Longest body of anybody's request, in bytes: a request for a certificate has about 1,600. */
export const BODY_BYTES_MAX = 64 * 1024;
/** Longest body of an administrator's request, in bytes: tens of thousands of names. */
export const ADMIN_BODY_BYTES_MAX = 1024 * 1024;

const JSON_TYPE = "application/json";
const [BRACKET, COMMA, BRACKET_END] = [Buffer.from("["), Buffer.from(","), Buffer.from("]")];

/** Most levels of a JSON body; requests have two. */
const JSON_DEPTH_MAX = 16;

export function text(status: number, body: string, type = "text/plain;charset=utf-8"): Response {
  return new Response(body, { status, headers: { "Content-Type": type } });
}

export function json(status: number, value: unknown, type = JSON_TYPE): Response {
  return new Response(JSON.stringify(value), { status, headers: headersOf(type) });
}

/** A list of JSON texts that are made in pieces, so that others have their turn in between. */
export async function jsonList(
  status: number,
  items: Iterable<Buffer>,
  type = JSON_TYPE,
): Promise<Response> {
  const written = await inForeground(async (next) => {
    const all: Buffer[] = [];
    for (const item of items) {
      await next();
      all.push(all.length === 0 ? BRACKET : COMMA, item);
    }
    return Buffer.concat([...(all.length === 0 ? [BRACKET] : all), BRACKET_END]);
  });
  return new Response(written, { status, headers: headersOf(type) });
}

function headersOf(type: string): Record<string, string> {
  return { "Content-Type": `${type};charset=utf-8` };
}

/** Puppet Server's answer to whoever may not, whatever is there. */
export function forbidden(path: string, method: string): Response {
  const what = `Forbidden request: ${path} (method :${method.toLowerCase()})`;
  const body = `${what}. Please see the server logs for details.`;
  return new Response(body, { status: 403 });
}

export function notFound(): Response {
  return text(404, "Not Found", "text/html;charset=utf-8");
}

/** The parts of a path, each decoded once; undefined when one can't be. */
export function segmentsOf(pathname: string): string[] | undefined {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    return undefined;
  }
}

/** Whether a decoded part of a path can name a certificate at all. */
export function isUrlName(segment: string): boolean {
  return URL_NAME.test(segment);
}

/** The body as text; undefined when it is longer than `bytesMax`. Reads no further than that. */
export async function readBody(request: Request, bytesMax: number): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream = request.body;
  if (stream === null) return "";
  for await (const chunk of stream) {
    const piece = chunk as Uint8Array;
    bytes += piece.length;
    if (bytes > bytesMax) return undefined;
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString("utf8");
}

export function tooLarge(bytesMax: number): Response {
  return text(413, `The body is longer than ${bytesMax} bytes.`);
}

/** The object in a JSON body; undefined when it is none, or one that nobody means. */
export function parseJsonObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject && isShallow(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Level by level: JSON.parse takes any nesting, and JSON.stringify dies of it later. */
function isShallow(value: unknown): boolean {
  let level = [value];
  for (let depth = 0; depth < JSON_DEPTH_MAX; depth += 1) {
    level = level.flatMap((each) =>
      typeof each === "object" && each !== null ? Object.values(each) : [],
    );
    if (level.length === 0) return true;
  }
  return false;
}

const JSON_TYPES = [JSON_TYPE, "text/pson", "pson"];

/** Whether a Content-Type header is absent or one that carries JSON. */
export function isJsonType(header: string | null): boolean {
  return header === null || JSON_TYPES.includes(mediaType(header));
}

/** What JSON is to be called for an Accept header; undefined: it lets none through. */
export function acceptedJson(header: string | null): string | undefined {
  if (header === null || header.trim() === "") return JSON_TYPE;
  const ranges = header.split(",").map(mediaType);
  const isAny = ranges.some((range) => [JSON_TYPE, "*/*", "application/*"].includes(range));
  return isAny ? JSON_TYPE : ranges.find((range) => JSON_TYPES.includes(range));
}

/** Names as Clojure prints a vector of strings, which is how clients have seen them. */
export function ednVector(names: readonly string[]): string {
  return `[${names.map((name) => JSON.stringify(name)).join(" ")}]`;
}

function mediaType(header: string): string {
  return (header.split(";")[0] ?? "").trim().toLowerCase();
}
