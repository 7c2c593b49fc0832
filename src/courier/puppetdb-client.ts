// Speaks to one PuppetDB: on this server's loopback, or through the courier of the server that it
// runs on. Each answer has a limit in bytes and in time; a failure is an answer of status 0.

import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { z } from "zod";
import { answerOf } from "../base/answer.ts";
import { messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import type { CommandHead } from "./command.ts";
import type { DeliveryAnswer } from "./delivery-plan.ts";

/** How long PuppetDB may take to store a command before it is asked again later, in seconds. */
const STORE_S = 10;
const STORE_MS = STORE_S * 1000 + 5000;
const STATUS_MS = 4000;
const ANSWER_BYTES_MAX = 1024 * 1024;
/** The courier beside a PuppetDB says with it that it couldn't reach that. */
export const UNREACHED_HEADER = "x-understudy-unreached";
/** Of queries, and of everything else apart: a PuppetDB full of queries is still asked how it is. */
const CONNECTIONS_MAX = 32;
const QUERY = /^\/pdb\/query\//;

/** Where a PuppetDB is reached. */
export interface PuppetDbAddress {
  /** The member it runs on. */
  id: string;
  /** Base URL: "http://127.0.0.1:8080", or of that member's courier, ending in /puppetdb. */
  url: string;
  /** For https: PEM, asked for at each new connection. */
  tls?: () => { ca: string; cert: string; key: string; servername: string };
}

/** What a PuppetDB says of itself. */
export interface Health {
  /** Whether it stores commands now. */
  writable: boolean;
  /** Whether it answers queries now. */
  readable: boolean;
  /** Why it doesn't do one of them; empty when it does both. */
  because: string;
}

export interface PuppetDbClient {
  readonly id: string;
  health(signal: AbortSignal): Promise<Health>;
  /** Sends a command and waits until it is stored, or isn't. Never throws. */
  send(head: CommandHead, body: Buffer, signal: AbortSignal): Promise<DeliveryAnswer>;
  /** Passes a request on; resolves with the head of the answer, rejects where none comes. */
  pass(options: PassOptions): Promise<IncomingMessage>;
  close(): void;
}

export interface PassOptions {
  method: string;
  /** Path and query. */
  path: string;
  headers: Record<string, string>;
  body?: Buffer;
  signal: AbortSignal;
}

const Status = z.object({
  state: z.string(),
  status: z.looseObject({
    "maintenance_mode?": z.boolean().optional(),
    "read_db_up?": z.boolean().optional(),
    "write_db_up?": z.boolean().optional(),
  }),
});

export function createPuppetDbClient({ id, url, tls }: PuppetDbAddress): PuppetDbClient {
  const base = new URL(url);
  const prefix = base.pathname.replace(/\/$/, "");
  const pool = { keepAlive: true, maxSockets: CONNECTIONS_MAX };
  const createAgent = () =>
    base.protocol === "https:" ? new HttpsAgent(pool) : new HttpAgent(pool);
  const [agent, queryAgent] = [createAgent(), createAgent()];
  const start = base.protocol === "https:" ? httpsRequest : httpRequest;

  const pass = async ({ method, path, headers, body, signal }: PassOptions) => {
    const options = () => ({
      host: base.hostname,
      port: base.port,
      method,
      path: prefix + path,
      headers: { ...headers, ...(body && { "content-length": String(body.length) }) },
      agent: QUERY.test(path) ? queryAgent : agent,
      signal,
      ...tls?.(),
    });
    return answerOf(() => start(options()), body);
  };
  const ask = async (options: PassOptions): Promise<DeliveryAnswer> => {
    try {
      const incoming = await pass(options);
      const unreached = incoming.headers[UNREACHED_HEADER];
      if (unreached !== undefined) {
        incoming.resume();
        return { status: 0, body: String(unreached) };
      }
      return { status: incoming.statusCode ?? 0, body: await readText(incoming) };
    } catch (error) {
      return { status: 0, body: messageOf(error) };
    }
  };
  return {
    id,
    pass,
    close() {
      agent.destroy();
      queryAgent.destroy();
    },
    async health(signal) {
      const path = "/status/v1/services/puppetdb-status";
      const headers = { accept: "application/json" };
      const within = deadline(STATUS_MS, signal);
      return judgeHealth(await ask({ method: "GET", path, headers, signal: within }));
    },
    send(head, body, signal) {
      const { encoding, uncompressed } = head;
      return ask({
        method: "POST",
        path: `/pdb/cmd/v1?${waitingQuery(head.query)}`,
        headers: {
          accept: "application/json",
          "content-type": "application/json; charset=utf-8",
          ...(encoding && { "content-encoding": encoding }),
          ...(uncompressed !== undefined && { "x-uncompressed-length": uncompressed }),
        },
        body,
        signal: deadline(STORE_MS, signal),
      });
    },
  };
}

/** The client's query as it came, but with our own wait. */
function waitingQuery(query: string): string {
  const kept = query.split("&").filter((pair) => !pair.startsWith("secondsToWaitForCompletion"));
  return [...kept, `secondsToWaitForCompletion=${STORE_S}`].join("&");
}

/** What an answer to puppetdb-status means. */
export function judgeHealth({ status, body }: DeliveryAnswer): Health {
  const unfit = (because: string) => ({ writable: false, readable: false, because });
  if (status === 0) return unfit(`it doesn't answer: ${body}`);
  let parsed: z.infer<typeof Status>;
  try {
    parsed = Status.parse(JSON.parse(body));
  } catch {
    // An error page, perhaps: it goes in one line of a status.
    const line = body.replaceAll(/\s+/g, " ").slice(0, 200).trim();
    return unfit(`it answers ${status}: ${line}`);
  }
  const { state, status: said } = parsed;
  if (said["maintenance_mode?"] === true) return unfit("it is starting (maintenance mode)");
  const writable = said["write_db_up?"] === true;
  const readable = said["read_db_up?"] === true;
  if (state === "running" && writable && readable) return { writable, readable, because: "" };
  const lacks = [writable ? [] : ["its database takes nothing"], readable ? [] : ["nor answers"]];
  return { writable, readable, because: `it is ${state}: ${lacks.flat().join(", ")}` };
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming) {
    const piece = chunk as Buffer;
    bytes += piece.length;
    if (bytes <= ANSWER_BYTES_MAX) chunks.push(piece);
  }
  return Buffer.concat(chunks).toString("utf8");
}
