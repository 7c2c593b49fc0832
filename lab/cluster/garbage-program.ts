// Throws garbage at ADDRESS:PORT from inside a host's network: random bytes, handshakes that stop
// half way, and, for whom TLS is no hurdle, headers that are huge or contradict each other. Ends by
// itself.

import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

const [address = "", port = ""] = process.argv.slice(2);
const where = { host: address, port: Number(port) };
const CONNECTION_MS_MAX = 4000;
/** A ClientHello's record header that promises 512 bytes, and the first few of them. */
const HALF_HELLO = Buffer.from("16030102000100 01fc0303".replaceAll(" ", ""), "hex");

const REQUESTS: (string | Buffer)[] = [
  "GET / HTTP/9.9\r\n\r\n",
  `GET /${"a".repeat(70_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\nX-Huge: ${"h".repeat(3_000_000)}\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: x\r\n${"X-Many: y\r\n".repeat(20_000)}\r\n`,
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx",
  "GET /%00%ff%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
  "GET / HTTP/1.1\r\nHost: x\r\nX-Client-DN: \u0000\u0001\r\n\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  randomBytes(65_536),
];

/** Resolves when the other side has hung up, or its time is over. */
async function throwAt(socket: Socket, bytes: string | Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve();
    };
    const timer = setTimeout(end, CONNECTION_MS_MAX);
    for (const event of ["error", "close", "end"]) socket.on(event, end);
    socket.resume();
    socket.write(bytes, () => undefined);
  });
}

const raw = [
  ...Array.from({ length: 20 }, (_, index) => randomBytes(1 + index * 3000)),
  ...Array.from({ length: 10 }, () => HALF_HELLO),
  ...REQUESTS,
];
await Promise.all(raw.map(async (bytes) => throwAt(connect(where), bytes)));
await Promise.all(
  REQUESTS.map(async (bytes) =>
    throwAt(connectTls({ ...where, rejectUnauthorized: false }), bytes),
  ),
);
process.stdout.write(`${raw.length + REQUESTS.length} connections\n`);
