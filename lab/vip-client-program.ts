// Clients of an address, for a test that moves it: connections that are kept and asked again and
// again, ones that only listen, and new ones all the time. Prints what came of them as JSON at
// SIGUSR2 and at its end (SIGTERM). Arguments: address, milliseconds between new connections, how
// many are kept, how many listen.

import { connect, type Socket } from "node:net";
import { monotonicMs } from "../src/host/clock.ts";
import type { ClientReport, Failure } from "./vip-clients.ts";

const [address = "", everyMs = "", kept = "", listening = ""] = process.argv.slice(2);
const EDGE_PORT = 8140;
const STREAM_PORT = 9000;
/** Nothing for so long is silence, which nobody may be left in. */
const SILENT_MS = 10_000;
const ASK_EVERY_MS = 15;

const report: ClientReport = { made: {}, asked: {}, heard: 0, open: 0, quietMs: 0, failures: [] };
/** When each open connection that isn't new last heard something. */
const lasting = new Map<object, number>();
const startMs = monotonicMs();

function fail(kind: Failure["kind"], how: string): void {
  report.failures.push({ kind, how, atMs: Math.round(monotonicMs() - startMs) });
}

/** Calls `silent` when `alive` wasn't called for too long. */
function watch(silent: () => void): { alive(): void; end(): void } {
  let timer = setTimeout(silent, SILENT_MS);
  return {
    alive() {
      clearTimeout(timer);
      timer = setTimeout(silent, SILENT_MS);
    },
    end: () => clearTimeout(timer),
  };
}

/** One connection; `onData` gets what arrives, `onOpen` comes before it. */
function open(
  kind: Failure["kind"],
  port: number,
  on: { open(socket: Socket): void; data(text: string, socket: Socket): void },
): Socket {
  const socket = connect({ host: address, port });
  let over = false;
  const end = (how: string | undefined) => {
    if (over) return;
    over = true;
    report.open -= 1;
    lasting.delete(socket);
    silence.end();
    if (how !== undefined) fail(kind, how);
    socket.destroy();
  };
  const silence = watch(() => end("silent"));
  report.open += 1;
  socket.setNoDelay(true);
  socket.on("connect", () => on.open(socket));
  socket.on("data", (chunk) => {
    silence.alive();
    if (kind !== "new") lasting.set(socket, monotonicMs());
    on.data(chunk.toString("latin1"), socket);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.on("close", () => end("closed"));
  // Whoever has what it wanted says so itself.
  socket.on("done", () => end(undefined));
  return socket;
}

const REQUEST = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/** The server that a whole answer names, and what follows it; undefined: it isn't whole yet. */
function readAnswer(text: string): { server: string; rest: string } | undefined {
  const at = text.indexOf("\r\n\r\n");
  if (at === -1) return undefined;
  const server = /^HTTP\/1.1 200.*\r\nx-server: (\S+)/is.exec(text)?.[1] ?? "?";
  return { server, rest: text.slice(at + 4) };
}

function count(into: Record<string, number>, server: string): void {
  into[server] = (into[server] ?? 0) + 1;
}

function keepAsking(): void {
  let text = "";
  open("kept", EDGE_PORT, {
    open: (socket) => socket.write(REQUEST),
    data(more, socket) {
      const answer = readAnswer((text += more));
      if (answer === undefined) return;
      text = answer.rest;
      count(report.asked, answer.server);
      setTimeout(() => socket.write(REQUEST), ASK_EVERY_MS);
    },
  });
}

function listen(): void {
  let next: number | undefined;
  let text = "";
  open("listening", STREAM_PORT, {
    open: () => undefined,
    data(more, socket) {
      const lines = (text + more).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) {
        if (next !== undefined && Number(line) !== next) {
          fail("listening", `${line} for ${next}`);
          socket.emit("done");
        }
        next = Number(line) + 1;
        report.heard += 1;
      }
    },
  });
}

function makeNew(): void {
  let text = "";
  open("new", EDGE_PORT, {
    open: (socket) => socket.write(REQUEST),
    data(more, socket) {
      const answer = readAnswer((text += more));
      if (answer === undefined) return;
      count(report.made, answer.server);
      socket.emit("done");
    },
  });
}

for (let left = Number(kept); left > 0; left -= 1) keepAsking();
for (let left = Number(listening); left > 0; left -= 1) listen();
const timer = Number(everyMs) > 0 ? setInterval(makeNew, Number(everyMs)) : undefined;
// With all connections gone it still has to tell of them.
setInterval(() => undefined, 60_000);

const print = (then?: () => void) => {
  report.quietMs = Math.round(monotonicMs() - Math.min(monotonicMs(), ...lasting.values()));
  process.stdout.write(`${JSON.stringify(report)}\n`, then);
};
process.on("SIGUSR2", () => print());
process.on("SIGTERM", () => {
  clearInterval(timer);
  print(() => process.exit(0));
});
print();
