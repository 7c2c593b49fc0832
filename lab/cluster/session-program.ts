// One kept-alive TLS connection as a client with a certificate, with a request every 200 ms until
// SIGTERM. Arguments: ADDRESS PORT PATH FOLDER, the folder with cert.pem and key.pem. A line per
// answer: "SENT-MS STATUS LOCAL-PORT", ms since the epoch, with " last" behind it where the answer
// says that the connection ends with it; "SENT-MS 0 MESSAGE" when there was none.

import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { pause } from "../../src/base/retry.ts";
import { wallMs } from "../../src/host/clock.ts";

const [address = "", port = "", path = "", folder = ""] = process.argv.slice(2);
const EVERY_MS = 200;
const options = {
  host: address,
  port: Number(port),
  path,
  cert: readFileSync(join(folder, "cert.pem")),
  key: readFileSync(join(folder, "key.pem")),
  rejectUnauthorized: false,
  headers: { accept: "application/json" },
  agent: new Agent({ keepAlive: true, maxSockets: 1 }),
};

for (;;) {
  const sentMs = wallMs();
  const outcome = await new Promise<string>((resolve) => {
    const outgoing = request(options, (incoming) => {
      const local = incoming.socket.localPort;
      incoming.resume();
      const last = incoming.headers.connection?.toLowerCase() === "close" ? " last" : "";
      incoming.on("end", () => resolve(`${incoming.statusCode} ${local}${last}`));
      incoming.on("error", (error) => resolve(`0 ${error.message}`));
    });
    outgoing.on("error", (error) => resolve(`0 ${error.message}`));
    outgoing.end();
  });
  process.stdout.write(`${sentMs} ${outcome}\n`);
  await pause(EVERY_MS);
}
