// A real HTTP or HTTPS receiver on loopback that keeps what it is sent, and can be told to fail in
// every way that receivers do.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";

/**
 * `stall`: no answer; `endless`: an answer without end; `drip`: a body byte by byte; `echo`: 404,
 * and what was asked for.
 */
export type WebhookMode = "takes" | "echo" | "stall" | "endless" | "drip" | "hang-up" | number;

export interface Webhook {
  url: string;
  bodies: string[];
  mode: WebhookMode;
  close(): Promise<void>;
}

export async function startWebhook(tls?: { cert: string; key: string }): Promise<Webhook> {
  const hook = { bodies: [] as string[], mode: "takes" as WebhookMode };
  const sockets = new Set<Socket>();
  const serve = (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      hook.bodies.push(Buffer.concat(chunks).toString("utf8"));
      answer(hook.mode, outgoing, incoming.url ?? "");
    });
  };
  const server = tls === undefined ? createServer(serve) : createSecureServer(tls, serve);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.assign(hook, {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/secret/path`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  });
}

function answer(mode: WebhookMode, outgoing: ServerResponse, url: string): void {
  if (mode === "takes") outgoing.writeHead(200).end("ok");
  else if (mode === "hang-up") outgoing.destroy();
  else if (mode === "echo") outgoing.writeHead(404).end(`Cannot POST ${url}`);
  else if (typeof mode === "number") {
    outgoing.writeHead(mode, { location: "http://127.0.0.1:1/" }).end("no\u001b[31m\nsuch thing");
  } else if (mode === "endless") {
    outgoing.writeHead(500);
    const more = () => {
      while (!outgoing.destroyed && outgoing.write("x".repeat(65_536)));
    };
    outgoing.on("drain", more);
    more();
  } else if (mode === "drip") {
    outgoing.writeHead(200);
    const timer = setInterval(() => outgoing.write("x"), 20);
    outgoing.on("close", () => clearInterval(timer));
  }
}
