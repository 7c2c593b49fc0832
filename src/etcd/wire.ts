// Text ↔ the JSON of etcd's gateway, pure. The idea: keys and values travel in base64, 64-bit
// numbers as strings, and fields that are zero, false or empty are left out. Danger: a field read
// under a wrong name looks exactly like a zero, so an answer's outline is checked.

import { Fault } from "../base/fault.ts";
import type { Compare, EtcdMember, KeyValue, MemberStatus, Op, Txn, WatchEvent } from "./types.ts";

export type Json = Record<string, unknown>;

/** Base64 of UTF-8 text, as the gateway wants every key and value. */
export function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("base64");
}

/** The range that `prefix` spans; the empty prefix spans everything. */
export function prefixRange(prefix: string): { key: string; range_end: string } {
  const start = Buffer.from(prefix, "utf8");
  for (let last = start.length - 1; last >= 0; last -= 1) {
    const byte = start[last] ?? 0xff;
    if (byte < 0xff) {
      const end = Buffer.from(start.subarray(0, last + 1));
      end[last] = byte + 1;
      return { key: start.toString("base64"), range_end: end.toString("base64") };
    }
  }
  return { key: "AA==", range_end: "AA==" };
}

/** Base64 of the smallest key above the one given in base64: where the next page starts. */
export function keyAfter(base64: string): string {
  return Buffer.concat([Buffer.from(base64, "base64"), Buffer.of(0)]).toString("base64");
}

/** The gateway's request for a transaction. */
export function encodeTxn(txn: Txn): Json {
  return {
    compare: txn.when.map(encodeCompare),
    success: txn.then.map(encodeOp),
    failure: (txn.otherwise ?? []).map(encodeOp),
  };
}

function encodeCompare(compare: Compare): Json {
  const key = encode(compare.key);
  if ("is" in compare) {
    const result = compare.is === "absent" ? "EQUAL" : "GREATER";
    return { key, result, target: "CREATE", create_revision: "0" };
  }
  if ("modRevision" in compare) {
    return { key, result: "EQUAL", target: "MOD", mod_revision: String(compare.modRevision) };
  }
  if ("createRevision" in compare) {
    const create_revision = String(compare.createRevision);
    return { key, result: "EQUAL", target: "CREATE", create_revision };
  }
  return { key, result: "EQUAL", target: "VALUE", value: encode(compare.value) };
}

function encodeOp(op: Op): Json {
  if ("put" in op) {
    const lease = op.lease === undefined ? {} : { lease: op.lease };
    return { request_put: { key: encode(op.put), value: encode(op.value), ...lease } };
  }
  if ("delete" in op) return { request_delete_range: { key: encode(op.delete) } };
  if ("deletePrefix" in op) return { request_delete_range: prefixRange(op.deletePrefix) };
  if ("get" in op) return { request_range: { key: encode(op.get) } };
  return { request_range: prefixRange(op.range) };
}

/** Whether the transaction can change nothing, so that repeating it is harmless. */
export function onlyReads(txn: Txn): boolean {
  return [...txn.then, ...(txn.otherwise ?? [])].every((op) => "get" in op || "range" in op);
}

/** Decodes a transaction's answer. */
export function decodeTxn(answer: unknown): {
  ok: boolean;
  revision: number;
  reads: KeyValue[][];
} {
  const body = asObject(answer, "a transaction's answer");
  const reads: KeyValue[][] = [];
  for (const item of asList(body["responses"])) {
    const range = asObject(item, "a response")["response_range"];
    if (range !== undefined) reads.push(decodeKvs(asObject(range, "a range")));
  }
  return { ok: body["succeeded"] === true, revision: headerRevision(body), reads };
}

export interface Page {
  revision: number;
  kvs: KeyValue[];
  more: boolean;
  /** Base64 of the last key, as it was on the wire. */
  lastKey: string | undefined;
}

/** Decodes the answer to one range request. */
export function decodePage(answer: unknown): Page {
  const body = asObject(answer, "a range's answer");
  const last = asList(body["kvs"]).at(-1);
  const lastKey = last === undefined ? undefined : asText(asObject(last, "a key")["key"], "");
  return {
    revision: headerRevision(body),
    kvs: decodeKvs(body),
    more: body["more"] === true,
    lastKey,
  };
}

function decodeKvs(range: Json): KeyValue[] {
  return asList(range["kvs"]).map(decodeKv);
}

function decodeKv(item: unknown): KeyValue {
  const kv = asObject(item, "a key and value");
  return {
    key: decode(kv["key"]),
    value: decode(kv["value"]),
    createRevision: asNumber(kv["create_revision"]),
    modRevision: asNumber(kv["mod_revision"]),
    version: asNumber(kv["version"]),
    lease: asText(kv["lease"], "0"),
  };
}

export type WatchMessage =
  | { say: "created" | "progress"; revision: number }
  | { say: "events"; revision: number; events: WatchEvent[] }
  | { say: "lost"; why: string; compacted: boolean };

/** Decodes one line of a watch. */
export function decodeWatch(line: unknown): WatchMessage {
  const envelope = asObject(line, "a line of a watch");
  if (envelope["error"] !== undefined) {
    const { message } = decodeError(envelope);
    return { say: "lost", why: message, compacted: message.includes("compacted") };
  }
  const body = asObject(envelope["result"], "a watch's result");
  const revision = headerRevision(body);
  if (body["canceled"] === true) {
    const compacted = body["compact_revision"] !== undefined;
    const why = compacted
      ? `history before revision ${asNumber(body["compact_revision"])} was compacted`
      : `etcd ended the watch: ${asText(body["cancel_reason"], "no reason given")}`;
    return { say: "lost", why, compacted };
  }
  if (body["created"] === true) return { say: "created", revision };
  const events = asList(body["events"]).map((item): WatchEvent => {
    const event = asObject(item, "an event");
    return { type: event["type"] === "DELETE" ? "delete" : "put", kv: decodeKv(event["kv"]) };
  });
  const last = events.at(-1);
  if (last === undefined) return { say: "progress", revision };
  // With a backlog the header is at etcd's newest revision, and the rest comes in later messages.
  return { say: "events", revision: last.kv.modRevision, events };
}

/** The code (gRPC's) and text of the gateway's error, unary or in a stream. */
export function decodeError(body: unknown): { code: number; message: string } {
  const outer = typeof body === "object" && body !== null ? (body as Json) : {};
  const inner = outer["error"];
  const error = typeof inner === "object" && inner !== null ? (inner as Json) : outer;
  const message = asText(error["message"] ?? error["error"], JSON.stringify(body ?? ""));
  return { code: asNumber(error["code"] ?? error["grpc_code"] ?? 2), message };
}

/** Decodes a member list. */
export function decodeMembers(answer: unknown): EtcdMember[] {
  return asList(asObject(answer, "a member list")["members"]).map((item) => {
    const member = asObject(item, "a member");
    return {
      id: asText(member["ID"], "0"),
      name: asText(member["name"], ""),
      peerUrls: asList(member["peerURLs"]).map((url) => asText(url, "")),
      clientUrls: asList(member["clientURLs"]).map((url) => asText(url, "")),
      learner: member["isLearner"] === true,
    };
  });
}

/** Decodes what a member says of itself. */
export function decodeStatus(endpoint: string, answer: unknown): MemberStatus {
  const body = asObject(answer, "a status");
  const header = asObject(body["header"], "a header");
  return {
    endpoint,
    clusterId: asText(header["cluster_id"], "0"),
    memberId: asText(header["member_id"], "0"),
    leaderId: asText(body["leader"], "0"),
    version: asText(body["version"], ""),
    dbSizeBytes: asNumber(body["dbSize"]),
    dbSizeInUseBytes: asNumber(body["dbSizeInUse"]),
    revision: asNumber(header["revision"]),
    raftIndex: asNumber(body["raftIndex"]),
    raftAppliedIndex: asNumber(body["raftAppliedIndex"]),
    raftTerm: asNumber(body["raftTerm"]),
    learner: body["isLearner"] === true,
    errors: asList(body["errors"]).map((text) => asText(text, "")),
  };
}

/** The revision in an answer's header. Every answer of etcd has one. */
export function headerRevision(body: Json): number {
  return asNumber(asObject(body["header"], "a header")["revision"]);
}

/** `value` as an object, or Fault `etcd.garbled`. */
export function asObject(value: unknown, what: string): Json {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw garbled(`${what} was expected, not ${JSON.stringify(value) ?? "nothing"}`);
}

/** `value` as a list; a missing one is empty. */
export function asList(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw garbled(`a list was expected, not ${JSON.stringify(value)}`);
}

/** `value` as text; a missing one is `absent`. */
export function asText(value: unknown, absent: string): string {
  if (value === undefined || value === null) return absent;
  if (typeof value === "string") return value;
  throw garbled(`text was expected, not ${JSON.stringify(value)}`);
}

/** `value` as a number; a missing one is 0. */
export function asNumber(value: unknown): number {
  if (value === undefined || value === null) return 0;
  const number = Number(value);
  if (typeof value === "object" || !Number.isSafeInteger(number)) {
    throw garbled(`a whole number was expected, not ${JSON.stringify(value)}`);
  }
  return number;
}

function decode(value: unknown): string {
  return Buffer.from(asText(value, ""), "base64").toString("utf8");
}

function garbled(what: string): Fault {
  return new Fault("etcd.garbled", `an answer that is not etcd's: ${what.slice(0, 300)}`, {
    hints: ["Is something else listening on that address and port? etcd 3.4 or later is needed."],
  });
}
