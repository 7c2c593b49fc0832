// A server as a synthetic agent finds it, for tests: HTTPS on loopback with certificates of its
// own, which answers as it is told to.

import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { CONTROL_HOSTNAME, createAuthorityCa, issueLeaf } from "../../cluster/pki.ts";
import { wallMs } from "../../host/clock.ts";
import { exportPkcs8, generateEcKey } from "../../x509/keys.ts";
import { createRequest } from "../../x509/request.ts";
import type { ProbeAccess } from "../probe.ts";

export interface Answer {
  status: number;
  text: string;
  /** Whether the connection ends with it. */
  isLast?: boolean;
}

export class TestServer {
  readonly access: ProbeAccess;
  /** What it was asked, with the port that each came from. */
  readonly asked: { url: string; body: string; port: number; certname: string }[] = [];
  answer: (certname: string) => Answer | undefined = catalogOf;
  readonly #leaf: { cert: string; key: string; ca: string };
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(certname = "understudy-probe.s1.test") {
    const authority = createAuthorityCa("control", "test", wallMs());
    const issue = (id: string) => {
      const key = generateEcKey();
      const request = createRequest({ commonName: id, key });
      const member = { id, address: "127.0.0.1" };
      const { pem } = issueLeaf(authority, "control", member, request, wallMs());
      return { cert: pem, key: exportPkcs8(key), ca: authority.certificatePem };
    };
    this.#leaf = issue("s1.test");
    const own = issue(certname);
    const where = { host: "127.0.0.1", port: 0, serverName: CONTROL_HOSTNAME };
    this.access = { ...own, ...where, certname, facts: { kernel: "Linux" } };
  }

  async start(): Promise<void> {
    const server = createServer(
      { ...this.#leaf, requestCert: true, rejectUnauthorized: true },
      (incoming, outgoing) => {
        let body = "";
        incoming.on("data", (chunk: Buffer) => (body += chunk.toString()));
        incoming.on("end", () => {
          const url = incoming.url ?? "";
          const certname = /^\/puppet\/v3\/catalog\/([^?]+)/.exec(url)?.[1] ?? "";
          this.asked.push({ url, body, certname, port: incoming.socket.remotePort ?? 0 });
          const answer = this.answer(certname);
          if (answer === undefined) return;
          const ends = answer.isLast === true ? { connection: "close" } : {};
          outgoing.writeHead(answer.status, { "content-type": "application/json", ...ends });
          outgoing.end(answer.text);
        });
      },
    );
    server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => server.listen(this.access.port, "127.0.0.1", resolve));
    this.access.port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** As a killed process: connections are reset, and nobody listens. */
  async kill(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of this.#sockets) socket.resetAndDestroy();
    await closed;
  }
}

/** An empty catalog. */
export function catalogOf(certname: string): Answer {
  return { status: 200, text: JSON.stringify({ name: certname, resources: [] }) };
}
