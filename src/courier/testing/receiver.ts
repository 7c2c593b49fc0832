// Stands for something that takes reports, as Foreman does: keeps what it gets.

import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { freePorts } from "../../host/testing/ports.ts";

export interface Received {
  headers: IncomingMessage["headers"];
  body: string;
}

export class ToyReceiver implements AsyncDisposable {
  readonly got: Received[] = [];
  /** How it answers; 200 by default. */
  answer: (got: Received) => number = () => 200;
  readonly port: number;
  readonly #server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const got = { headers: incoming.headers, body: Buffer.concat(chunks).toString() };
      const status = this.answer(got);
      if (status === 200) this.got.push(got);
      outgoing.writeHead(status).end();
    });
  });

  private constructor(port: number) {
    this.port = port;
  }

  /** Chooses a port; listens from `start` on. */
  static async make(): Promise<ToyReceiver> {
    const [port = 0] = await freePorts(1);
    return new ToyReceiver(port);
  }

  async start(): Promise<void> {
    this.#server.listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
