// Counts to everybody who connects, twenty times a second, and reads nothing: a client of it only
// listens. Argument: port.

import { createServer } from "node:net";

const EVERY_MS = 50;

createServer((socket) => {
  let next = 0;
  const timer = setInterval(() => socket.write(`${(next += 1)}\n`), EVERY_MS);
  socket.on("error", () => undefined);
  socket.on("close", () => clearInterval(timer));
  socket.resume();
}).listen(Number(process.argv[2]));
