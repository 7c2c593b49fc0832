// One member calls another: HTTPS with both sides' control certificates, JSON both ways.
// A peer's Fault arrives as the same Fault here, so that a command says what was wrong over there.

import { Agent, request } from "node:https";
import type { z } from "zod";
import { answerOf } from "../base/answer.ts";
import { Fault, messageOf } from "../base/fault.ts";
import { readBody } from "../base/read-body.ts";
import { deadline } from "../base/retry.ts";
import { PORTS } from "../host/paths.ts";
import { CONTROL_HOSTNAME } from "./pki.ts";
import { WireFault } from "./wire-fault.ts";

const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const CALL_MS = 5000;

/** This member's side of a connection. */
export interface PeerTls {
  ca: string;
  cert: string;
  key: string;
  crl?: string;
}

export interface Peers {
  /**
   * Calls `path` at the member with `address`. Throws Fault `peer.unreachable` or the peer's own.
   */
  call<S extends z.ZodType>(
    address: string,
    path: string,
    options: { body?: unknown; answer: S; withinMs?: number; signal?: AbortSignal },
  ): Promise<z.infer<S>>;
  close(): void;
}

/** A caller of members. `tls` is asked at each new connection, so renewed certificates are used. */
export function createPeers(tls: () => PeerTls): Peers {
  let agent = new Agent({ keepAlive: true, maxSockets: 8, ...tlsOptions(tls()) });
  let current = JSON.stringify(tls());
  return {
    async call(address, path, options) {
      const now = JSON.stringify(tls());
      if (now !== current) {
        endIdle(agent);
        agent = new Agent({ keepAlive: true, maxSockets: 8, ...tlsOptions(tls()) });
        current = now;
      }
      const { withinMs = CALL_MS, signal, body } = options;
      const answer = await send(agent, address, path, body, deadline(withinMs, signal));
      return readAnswer(answer, options.answer, address);
    },
    close: () => agent.destroy(),
  };
}

/**
 * Calls a member before one has certificates: only its CA is checked (the token exchange of join).
 */
export async function callAsJoiner<S extends z.ZodType>(
  url: URL,
  path: string,
  options: { ca: string; body: unknown; answer: S; withinMs: number },
): Promise<z.infer<S>> {
  const agent = new Agent(tlsOptions({ ca: options.ca }));
  try {
    const address = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || PORTS.control);
    const signal = deadline(options.withinMs);
    const answer = await send(agent, address, path, options.body, signal, port);
    return readAnswer(answer, options.answer, url.host);
  } finally {
    agent.destroy();
  }
}

/**
 * Ends the connections that nobody waits on. A call under way keeps its own: whoever asks to be
 * removed gets a new CRL before the answer.
 */
function endIdle(agent: Agent): void {
  for (const idle of Object.values(agent.freeSockets)) {
    for (const socket of idle ?? []) socket.destroy();
  }
}

function tlsOptions(tls: Partial<PeerTls>) {
  return { ...tls, servername: CONTROL_HOSTNAME, minVersion: "TLSv1.3" as const };
}

async function send(
  agent: Agent,
  host: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
  port: number = PORTS.control,
): Promise<{ status: number; text: string }> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const method = text === undefined ? "GET" : "POST";
  const headers = { "content-type": "application/json" };
  const start = () => request({ agent, host, port, path, signal, method, headers });
  try {
    const answer = await answerOf(start, text);
    const read = await readBody(answer, ANSWER_BYTES_MAX);
    return { status: answer.statusCode ?? 0, text: read.toString("utf8") };
  } catch (error) {
    const why = signal.aborted ? "no answer in time" : messageOf(error);
    throw new Fault("peer.unreachable", `${host}:${port} can't be asked: ${why}`, { cause: error });
  }
}

function readAnswer<S extends z.ZodType>(
  answer: { status: number; text: string },
  schema: S,
  from: string,
): z.infer<S> {
  let json: unknown;
  try {
    json = JSON.parse(answer.text);
  } catch (error) {
    throw new Fault(
      "peer.garbled",
      `${from} answered ${answer.status} with something else than JSON`,
      {
        cause: error,
      },
    );
  }
  const fault = WireFault.safeParse(json);
  if (fault.success) {
    const { code, message, hints } = fault.data.error;
    throw new Fault(code, message, { hints });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new Fault("peer.garbled", `${from} answered ${path(parsed.error)}`, {
    cause: parsed.error,
  });
}

function path(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; ");
}
