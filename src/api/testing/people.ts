// The people's API on a real port with a real certificate, and somebody who asks.

import { Agent, request, type RequestOptions } from "node:https";
import { createLog } from "../../base/log.ts";
import { type AccessRole, type AccessList, makeAccessToken } from "../../cluster/access.ts";
import { CONTROL_HOSTNAME, createAuthorityCa, issueLeaf } from "../../cluster/pki.ts";
import { freePorts } from "../../host/testing/ports.ts";
import { exportPkcs8, generateEcKey } from "../../x509/keys.ts";
import { createRequest } from "../../x509/request.ts";
import { auditToLog } from "../audit.ts";
import { createPeopleApp, type PeopleDeps } from "../people-app.ts";
import { listenWithTls } from "../serve.ts";
import { createTestCommands } from "./commands.ts";

export const NOW_MS = Date.parse("2026-11-20T12:00:00Z");
const DAY_MS = 86_400_000;

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** A certificate for the test's listeners, of a CA of its own. */
export function createTestTls(): { ca: string; cert: string; key: string } {
  const authority = createAuthorityCa("control", "c1", Date.now());
  const key = generateEcKey();
  const wanted = createRequest({ commonName: "s1.test", key });
  const member = { id: "s1.test", address: "127.0.0.1" };
  const { pem } = issueLeaf(authority, "control", member, wanted, Date.now());
  return { ca: authority.certificatePem, cert: pem, key: exportPkcs8(key) };
}

/** Reads what comes, for as long as it is wanted. */
export interface Opened {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  /** All that has come so far. */
  text: () => string;
  /** Resolves once the other side has ended it. */
  ended: Promise<void>;
  /** Whether it is read on. */
  pause(): void;
  resume(): void;
  close(): void;
}

/** Starts it with a token of each role. `lines` are those of its log, the audit's among them. */
export async function startTestPeople(more: Partial<PeopleDeps> = {}) {
  const lines: string[] = [];
  const log = createLog((line) => lines.push(line));
  const { commands, calls } = createTestCommands();
  const list: AccessList = { tokens: [] };
  const clock = { wallMs: NOW_MS, monotonicMs: 0 };
  const addToken = (name: string, role: AccessRole, validMs = DAY_MS) => {
    const wish = { name, role, validMs, createdBy: "s1.test", nowMs: NOW_MS };
    const { text, token } = makeAccessToken(wish);
    list.tokens.push(token);
    return text;
  };
  const tokens = {
    viewer: addToken("see", "viewer"),
    operator: addToken("ops", "operator"),
    admin: addToken("boss", "admin"),
  };
  const app = createPeopleApp({
    log,
    commands,
    audit: auditToLog(log),
    tokens: () => list,
    used: () => undefined,
    refused: () => undefined,
    health: (check) => ({ ok: check !== "leader", because: `as ${check} is` }),
    readsMetrics: () => false,
    wallMs: () => clock.wallMs,
    monotonicMs: () => clock.monotonicMs,
    ...more,
  });
  const [port = 0] = await freePorts(1);
  const { ca, cert, key } = createTestTls();
  const where = { address: "127.0.0.1", port };
  const listener = await listenWithTls(app, { ...where, tls: { cert, key }, strangers: true });
  const agents: Agent[] = [];
  /** Somebody with an address of his own, whom limits count apart. */
  const from = (localAddress: string, maxSockets = 4) => {
    const identity = { ca, servername: CONTROL_HOSTNAME, localAddress };
    const made = new Agent({ keepAlive: true, maxSockets, ...identity });
    agents.push(made);
    return made;
  };
  const agent = from("127.0.0.1");
  const ask = async (
    method: string,
    path: string,
    options: { token?: string; body?: unknown; raw?: string } & RequestOptions = {},
  ) => {
    const { token, body, raw, headers, ...rest } = options;
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    // Node leaves it out where a method seldom has a body.
    const chunked = Object.hasOwn(headers ?? {}, "transfer-encoding");
    const length =
      text === undefined || chunked ? {} : { "content-length": String(Buffer.byteLength(text)) };
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = {
      ...authorization,
      ...length,
      ...(headers as Record<string, string> | undefined),
    };
    return send({ agent, host: "127.0.0.1", port, method, path, headers: sent, ...rest }, text);
  };
  /** Asks for something that goes on, on a connection of its own. */
  const open = async (path: string, options: { token?: string } & RequestOptions = {}) => {
    const { token, headers, ...rest } = options;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const sent = { ...authorization, ...(headers as Record<string, string> | undefined) };
    const own = from("127.0.0.1");
    return openStream({ agent: own, host: "127.0.0.1", port, path, headers: sent, ...rest });
  };
  const close = async () => {
    for (const each of agents) each.destroy();
    await listener.close();
  };
  return { ask, open, from, addToken, list, tokens, clock, lines, calls, port, ca, close };
}

async function send(options: RequestOptions, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      incoming.on("error", reject);
      incoming.on("end", () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text });
      });
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function openStream(options: RequestOptions): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const outgoing = request(options, (incoming) => {
      let text = "";
      incoming.on("data", (chunk: Buffer) => (text += chunk.toString()));
      // Being cut off is an end too.
      incoming.on("error", () => undefined);
      resolve({
        status: incoming.statusCode ?? 0,
        headers: incoming.headers,
        text: () => text,
        ended: new Promise((ended) => incoming.on("close", ended)),
        pause: () => void incoming.pause(),
        resume: () => void incoming.resume(),
        close: () => outgoing.destroy(),
      });
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}
