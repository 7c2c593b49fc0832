// One kept-alive connection to a certificate authority, with a client certificate or without, for
// the load programs.

import { Agent, request } from "node:https";
import { z } from "zod";

const ANSWER_MS_MAX = 120_000;

/** Who answers: a server's edge, or stock puppetserver. */
export const Door = z.object({
  name: z.string(),
  address: z.string(),
  port: z.int(),
  /** Sent as SNI, checked against the server's certificate. */
  serverName: z.string(),
});
export type Door = z.infer<typeof Door>;

/** PEM of a client's certificate and key. */
export const Identity = z.object({ certificate: z.string(), key: z.string() });
export type Identity = z.infer<typeof Identity>;

export interface Answer {
  status: number;
  body: string;
}

export class Connection {
  readonly #door: Door;
  readonly #agent: Agent;

  constructor(door: Door, ca: string, identity?: Identity) {
    this.#door = door;
    const tls = identity === undefined ? {} : { cert: identity.certificate, key: identity.key };
    const { address: host, port, serverName: servername } = door;
    const where = { host, port, servername, ca, ...tls };
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0, ...where });
  }

  /** Sends one request and takes the whole answer. Rejects when there is none. */
  send(method: "GET" | "PUT", path: string, body = "", type = "text/plain"): Promise<Answer> {
    const { address: host, port, serverName } = this.#door;
    const content = { "content-type": type, "content-length": Buffer.byteLength(body) };
    const headers = { host: serverName, accept: "*/*", ...(body === "" ? {} : content) };
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const options = { agent: this.#agent, host, port, path, method, headers };
    const sent = request({ ...options, timeout: ANSWER_MS_MAX }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("error", reject);
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: no answer`)));
    sent.on("error", reject);
    sent.end(body);
    return promise;
  }

  close(): void {
    this.#agent.destroy();
  }
}
