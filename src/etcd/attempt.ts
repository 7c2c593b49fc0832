// One HTTP request to one member. The idea: an attempt never throws, it says what is known: an
// answer, an error of etcd's own, or nothing, and then whether anything had been sent. Danger:
// bytes handed to a socket may have arrived even if the socket then dies.

import {
  Agent as HttpAgent,
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { messageOf } from "../base/fault.ts";
import { isCertificateAlert, isTlsCode } from "./judge.ts";
import { decodeError, type Json } from "./wire.ts";
import type { EtcdTls } from "./types.ts";

/** The largest answer that is read, in bytes. */
export const ANSWER_BYTES_MAX = 256 * 1024 * 1024;
const SOCKETS_PER_MEMBER_MAX = 64;
const IDLE_SOCKETS_PER_MEMBER_MAX = 8;
const IDLE_MS_BEFORE_PROBE = 5000;
const BYTES_PER_MIB = 1024 * 1024;
/** What a MiB on its way to the member adds to the patience with its silence, in milliseconds. */
const MS_PER_MIB_SENT = 1000;

export type Outcome =
  | { got: "answer"; body: unknown }
  | { got: "error"; code: number; message: string }
  | { got: "nothing"; sent: boolean; tls: boolean; why: string };

export interface Attempt {
  endpoint: string;
  path: string;
  body: Json;
  /** Milliseconds for connecting, handshake included. */
  connectMs: number;
  /** Longest silence after that, in milliseconds. */
  silenceMs: number;
  /** Once the answer has begun, any silence is fine: a watch. */
  endless?: boolean;
  signal?: AbortSignal | undefined;
}

export interface Transport {
  attempt(attempt: Attempt): Promise<Outcome>;
  /**
   * Like attempt, but hands over each line of a streamed answer as it comes. Resolves at its end.
   */
  stream(attempt: Attempt, onLine: (line: unknown) => Promise<void> | void): Promise<Outcome>;
  /** Closes every connection, busy ones too. */
  close(): void;
  /** Closes idle connections now and busy ones when they are done. */
  retire(): void;
}

/** A transport with connections of its own, kept alive. */
export function createTransport(tls: EtcdTls | undefined): Transport {
  const shape = {
    keepAlive: true,
    maxSockets: SOCKETS_PER_MEMBER_MAX,
    maxFreeSockets: IDLE_SOCKETS_PER_MEMBER_MAX,
  };
  const http = new HttpAgent(shape);
  // No session cache: every connection shows today's certificate and is checked against today's
  // CRL.
  const https = new HttpsAgent({ ...shape, ...tls, minVersion: "TLSv1.2", maxCachedSessions: 0 });
  const open = (attempt: Attempt, length: number): ClientRequest => {
    const url = new URL(attempt.path, attempt.endpoint);
    const headers = { "content-type": "application/json", "content-length": length };
    return url.protocol === "https:"
      ? httpsRequest(url, { method: "POST", headers, agent: https })
      : httpRequest(url, { method: "POST", headers, agent: http });
  };
  return {
    async attempt(attempt) {
      let text = "";
      const take = (chunk: string) => {
        text += chunk;
        return text.length > ANSWER_BYTES_MAX ? "the answer is too large" : undefined;
      };
      const outcome = await exchange(open, attempt, { take, ready: () => Promise.resolve() });
      return outcome ?? readBody(text);
    },
    async stream(attempt, onLine) {
      const outcome = await exchange(open, attempt, splitLines(onLine));
      return outcome ?? { got: "answer", body: undefined };
    },
    close() {
      http.destroy();
      https.destroy();
    },
    retire() {
      for (const agent of [http, https]) {
        agent.maxFreeSockets = 0;
        for (const sockets of Object.values(agent.freeSockets)) {
          for (const socket of sockets ?? []) socket.destroy();
        }
      }
    },
  };
}

/** What an exchange knows of itself, for the case that it fails. */
interface Progress {
  sent: boolean;
  fresh: boolean;
  encrypted: boolean;
  heard: boolean;
}

/** Where the answer goes, and how the exchange ends. */
interface Sink {
  /** Takes a piece of the answer; returns why no more is wanted. */
  take(chunk: string): string | undefined;
  /** Resolves when what was taken has been dealt with. */
  ready(): Promise<void>;
}

/** Runs one request. Returns undefined when it got its answer with status 200 to the end. */
async function exchange(
  open: (attempt: Attempt, length: number) => ClientRequest,
  attempt: Attempt,
  sink: Sink,
): Promise<Outcome | undefined> {
  const body = Buffer.from(JSON.stringify(attempt.body));
  const uploadMs = (body.length / BYTES_PER_MIB) * MS_PER_MIB_SENT;
  if (attempt.signal?.aborted === true) return nothing(false, "given up before it was sent");
  return new Promise((resolve) => {
    const request = open(attempt, body.length);
    const state: Progress = { sent: false, fresh: true, encrypted: false, heard: false };
    const end = (outcome: Outcome | undefined) => {
      clearTimeout(timer);
      attempt.signal?.removeEventListener("abort", onAbort);
      resolve(outcome);
      if (outcome?.got === "nothing") request.destroy();
    };
    const giveUp = (why: string) => end(nothing(state.sent, why));
    const onAbort = () => giveUp("given up");
    // Until it has a connection at all it waits for those before it, which end by themselves.
    const queuedMs = attempt.connectMs + attempt.silenceMs;
    let timer = setTimeout(() => giveUp("no connection is free"), queuedMs);
    request.on("socket", () => {
      clearTimeout(timer);
      timer = setTimeout(() => giveUp("no connection"), attempt.connectMs);
    });
    const restart = (ms: number) => {
      clearTimeout(timer);
      if (state.heard && attempt.endless === true) return;
      timer = setTimeout(() => giveUp("no answer"), ms);
    };
    attempt.signal?.addEventListener("abort", onAbort, { once: true });
    onConnected(request, (fresh, encrypted) => {
      Object.assign(state, { sent: true, fresh, encrypted });
      restart(attempt.silenceMs + uploadMs);
    });
    request.on("error", (error: NodeJS.ErrnoException) => end(failure(error, state)));
    request.on("response", (response) => {
      state.heard = true;
      restart(attempt.silenceMs);
      response.on("data", () => restart(attempt.silenceMs));
      response.on("error", () => giveUp("the connection broke"));
      if (response.statusCode === 200) receive(response, sink, () => end(undefined), giveUp);
      else receiveError(response, end);
    });
    request.end(body);
  });
}

/** Hands an answer to the sink, no faster than it copes with. */
function receive(
  response: IncomingMessage,
  sink: Sink,
  whenDone: () => void,
  giveUp: (why: string) => void,
): void {
  const onTrouble = (error: unknown) => giveUp(messageOf(error));
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    const trouble = sink.take(chunk);
    if (trouble !== undefined) giveUp(trouble);
    response.pause();
    sink.ready().then(() => response.resume(), onTrouble);
  });
  response.on("end", () => void sink.ready().then(whenDone, onTrouble));
}

function receiveError(response: IncomingMessage, end: (outcome: Outcome) => void): void {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    if (text.length < BYTES_PER_MIB) text += chunk;
  });
  response.on("end", () => end(readError(text)));
}

/**
 * Connections that stand. Node.js says that a connection is reused only of one that was idle, not
 * of one that a request was waiting for.
 */
const standing = new WeakSet<object>();

/** Calls back when the request's connection stands, which is when its bytes leave. */
function onConnected(
  request: ClientRequest,
  callback: (fresh: boolean, encrypted: boolean) => void,
): void {
  request.on("socket", (socket) => {
    const encrypted = socket instanceof TLSSocket;
    if (request.reusedSocket || standing.has(socket)) {
      callback(false, encrypted);
      return;
    }
    if (socket instanceof Socket) {
      socket.setNoDelay(true);
      socket.setKeepAlive(true, IDLE_MS_BEFORE_PROBE);
    }
    socket.once(encrypted ? "secureConnect" : "connect", () => {
      standing.add(socket);
      callback(true, encrypted);
    });
  });
}

function failure(error: NodeJS.ErrnoException, state: Progress): Outcome {
  const code = error.code ?? "";
  const tls = isTlsCode(code);
  if (code === "ECONNRESET" && state.sent && state.fresh && state.encrypted && !state.heard) {
    const why =
      "closed right after the handshake, as etcd does with a revoked certificate or a broken CRL";
    return { got: "nothing", sent: true, tls: true, why };
  }
  // With TLS 1.3 the member's no to our certificate comes when we have begun to send already. It
  // takes no request over that connection.
  const sent = state.sent && !(state.fresh && !state.heard && isCertificateAlert(code));
  return { got: "nothing", sent, tls, why: error.message === "" ? code : error.message };
}

function nothing(sent: boolean, why: string): Outcome {
  return { got: "nothing", sent, tls: false, why };
}

function readBody(text: string): Outcome {
  try {
    return { got: "answer", body: JSON.parse(text) };
  } catch {
    return nothing(true, `no JSON but "${text.slice(0, 100)}"`);
  }
}

function readError(text: string): Outcome {
  try {
    return { got: "error", ...decodeError(JSON.parse(text)) };
  } catch {
    return nothing(true, `no JSON but "${text.slice(0, 100)}"`);
  }
}

/** Cuts chunks into lines of JSON and hands them over one after the other. */
function splitLines(onLine: (line: unknown) => Promise<void> | void): Sink {
  let rest: string[] = [];
  let restLength = 0;
  let queue = Promise.resolve();
  return {
    take(chunk) {
      const parts = chunk.split("\n");
      const tail = parts.pop() ?? "";
      for (const part of parts) {
        rest.push(part);
        const line = rest.join("");
        rest = [];
        restLength = 0;
        if (line.trim() === "") continue;
        queue = queue.then(() => onLine(JSON.parse(line)));
      }
      rest.push(tail);
      restLength += tail.length;
      return restLength > ANSWER_BYTES_MAX ? "a line of the answer is too long" : undefined;
    },
    ready: () => queue,
  };
}
