// A PuppetDB command as it comes in: what its request line and headers say, and whether its body is
// what they say. PuppetDB answers 200 to garbage and drops it in silence later, so it is refused
// here. Danger: the body is only looked at; what is delivered are its own bytes, since written anew
// it would have another hash in PuppetDB.

import { gunzipSync } from "node:zlib";
import { messageOf } from "../base/fault.ts";
import { failedRunOf, type SeenFailedRun } from "./failed-runs.ts";

/** What a command changes of a node; `upload`: a report for other receivers. */
export type CommandKind =
  | "catalog"
  | "facts"
  | "inputs"
  | "report"
  | "deactivation"
  | "expiration"
  | "deletion"
  | "upload";

/** All that is known of a command besides its body. */
export interface CommandHead {
  kind: CommandKind;
  certname: string;
  /** When its producer made it, milliseconds since the epoch: what PuppetDB orders by. */
  producerMs: number;
  /** The query of its URL, as it came. */
  query: string;
  /** `gzip`, or absent. */
  encoding?: "gzip";
  /** X-Uncompressed-Length as it came. */
  uncompressed?: string;
  /** Of an upload. */
  contentType?: string;
  /** Of an upload: SHA-256 of its body as it came, hex. */
  sha256?: string;
}

/** Commands by their name in the URL, with the versions that PuppetDB 7 to 9 takes over HTTP. */
const COMMANDS: Record<string, { kind: CommandKind; from: number; to: number }> = {
  replace_catalog: { kind: "catalog", from: 6, to: 9 },
  replace_facts: { kind: "facts", from: 4, to: 5 },
  replace_catalog_inputs: { kind: "inputs", from: 1, to: 1 },
  store_report: { kind: "report", from: 5, to: 8 },
  deactivate_node: { kind: "deactivation", from: 3, to: 3 },
  configure_expiration: { kind: "expiration", from: 1, to: 1 },
};

const PARAMETERS = new Set([
  "checksum",
  "secondsToWaitForCompletion",
  "certname",
  "command",
  "version",
  "producer-timestamp",
]);

const CERTNAME_CHARACTERS_MAX = 250;
/** Longest body as it is sent, in bytes; its gzip may hold PLAIN_BYTES_MAX. */
export const BODY_BYTES_MAX = 32 * 1024 * 1024;
const PLAIN_BYTES_MAX = 64 * 1024 * 1024;

export interface Refusal {
  ok: false;
  status: 400 | 405 | 406 | 413 | 415 | 501;
  because: string;
}

/** The request line and headers of a command; names of headers in lower case. */
export interface CommandRequest {
  method: string;
  /** All after the question mark. */
  query: string;
  headers: Readonly<Record<string, string | undefined>>;
}

/** What is known of a command before its body is there. */
export type RequestHead = Omit<CommandHead, "producerMs"> & { producerMs: number | undefined };

/** Judges the request line and the headers as PuppetDB does, but takes POST only. */
export function readCommandRequest(
  request: CommandRequest,
): { ok: true; head: RequestHead } | Refusal {
  const { method, query, headers } = request;
  if (method !== "POST") return refuse(405, "a command is sent by POST");
  const mediaType = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  if (mediaType !== "application/json") return refuse(415, "content-type must be application/json");
  const encoding = (headers["content-encoding"] ?? "identity").trim().toLowerCase();
  if (encoding !== "gzip" && encoding !== "identity") {
    return refuse(415, `content-encoding ${encoding} is not supported: gzip or none`);
  }
  if (!acceptsJson(headers["accept"])) return refuse(406, "must accept application/json");
  const parameters = parseQuery(query);
  const strange = [...parameters.keys()].find((name) => !PARAMETERS.has(name));
  if (strange !== undefined) return refuse(400, `Unsupported query parameter '${strange}'`);
  const missing = ["command", "version", "certname"].find(
    (name) => (parameters.get(name) ?? "").trim() === "",
  );
  if (missing !== undefined) return refuse(400, `Missing required query parameter '${missing}'`);
  const name = parameters.get("command")?.replaceAll(" ", "_") ?? "";
  const known = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (known === undefined) return refuse(400, `command ${quoted(name)} is not one of PuppetDB's`);
  const version = Number(parameters.get("version"));
  if (!Number.isInteger(version) || version < known.from || version > known.to) {
    const may = known.from === known.to ? `${known.to}` : `${known.from} to ${known.to}`;
    const got = quoted(parameters.get("version") ?? "");
    return refuse(400, `version ${got} of ${name} is not supported, ${may} is`);
  }
  const certname = parameters.get("certname") ?? "";
  if (certname.length > CERTNAME_CHARACTERS_MAX) return refuse(400, "the certname is too long");
  const { "x-uncompressed-length": uncompressed } = headers;
  return {
    ok: true,
    head: {
      kind: known.kind,
      certname,
      producerMs: timeOf(parameters.get("producer-timestamp")),
      query,
      ...(encoding === "gzip" ? { encoding } : {}),
      ...(uncompressed === undefined ? {} : { uncompressed }),
    },
  };
}

/**
 * Judges the body: JSON of an object about the same certname. `nowMs` stands for the time of one
 * that has none. `failed`: what a report of a failed run says.
 */
export function readCommandBody(
  head: RequestHead,
  body: Buffer,
  nowMs: number,
): { ok: true; head: CommandHead; failed: SeenFailedRun | undefined } | Refusal {
  const plain = unpack(head, body);
  if ("status" in plain) return plain;
  let parsed: unknown;
  try {
    parsed = JSON.parse(plain.text);
  } catch (error) {
    return refuse(400, `the body is no JSON: ${messageOf(error).slice(0, 200)}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    return refuse(400, "the body is no JSON object");
  }
  const object = parsed as Record<string, unknown>;
  const { certname, producer_timestamp: producerTimestamp } = object;
  if (certname !== head.certname) {
    const got = typeof certname === "string" ? quoted(certname) : "none";
    return refuse(400, `the body's certname is ${got}, the URL's ${quoted(head.certname)}`);
  }
  const own = typeof producerTimestamp === "string" ? timeOf(producerTimestamp) : undefined;
  const producerMs = own ?? head.producerMs ?? nowMs;
  const failed = head.kind === "report" ? failedRunOf(object) : undefined;
  return { ok: true, head: { ...head, producerMs }, failed };
}

function unpack({ encoding }: RequestHead, body: Buffer): { text: string } | Refusal {
  if (encoding === undefined) return decode(body);
  try {
    return decode(gunzipSync(body, { maxOutputLength: PLAIN_BYTES_MAX }));
  } catch (error) {
    const tooLarge = (error as { code?: unknown }).code === "ERR_BUFFER_TOO_LARGE";
    if (tooLarge) return refuse(413, `the body unpacks to more than ${PLAIN_BYTES_MAX} bytes`);
    return refuse(400, `the body is no gzip: ${messageOf(error)}`);
  }
}

function decode(bytes: Buffer): { text: string } | Refusal {
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return refuse(400, "the body is no UTF-8");
  }
}

/** The parameters; a value that isn't escaped properly is taken as it is, as the terminus sends. */
function parseQuery(query: string): Map<string, string> {
  const pairs = query.split("&").filter((pair) => pair !== "");
  return new Map(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      const [name, value] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
      return [unescape(name), unescape(value)];
    }),
  );
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}

function acceptsJson(header: string | undefined): boolean {
  if (header === undefined || header.trim() === "") return true;
  const types = header.split(",").map((range) => (range.split(";")[0] ?? "").trim().toLowerCase());
  return types.some((type) => ["application/json", "application/*", "*/*"].includes(type));
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}

function refuse(status: Refusal["status"], because: string): Refusal {
  return { ok: false, status, because };
}
