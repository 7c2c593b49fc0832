// One request to a puppetserver's own listener, behind the edges, with the edge client certificate.

import { request } from "node:https";

export interface PuppetserverAccess {
  address: string;
  port: number;
  /** Name in the listener's certificate: the member's id. */
  serverName: string;
  /** PEM texts of the edge CA and of an edge client's certificate and key. */
  ca: string;
  cert: string;
  key: string;
}

/** What it answers to a GET, whatever the status. Throws what the connection fails with. */
export function askPuppetserver(
  access: PuppetserverAccess,
  what: { path: string; accept: string; bytesMax: number; headers?: Record<string, string> },
  signal: AbortSignal,
): Promise<{ status: number; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: access.address,
        port: access.port,
        servername: access.serverName,
        path: what.path,
        ca: access.ca,
        cert: access.cert,
        key: access.key,
        headers: { ...what.headers, accept: what.accept, connection: "close" },
        agent: false,
        signal,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > what.bytesMax) response.destroy(new Error("its answer has no end"));
          else chunks.push(chunk);
        });
        response.once("error", reject);
        response.once("end", () =>
          resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }),
        );
      },
    );
    asked.once("error", reject);
    asked.end();
  });
}
