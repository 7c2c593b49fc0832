// Ports for servers that tests start. Danger: a port that the system hands out for "any" may be
// taken by somebody's outgoing connection before the server listens, so these lie below that range;
// and one that is down for a moment must not go to another test, so each test process has a slice
// of its own: whoever listens on the slice's first port has it.

import { createServer, type Server } from "node:net";

const FIRST = 12_000;
const SLICE = 50;
const SLICES = 400;

let slice: Promise<number> | undefined;
let taken = 0;

/** `count` ports of 127.0.0.1 that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const from = await (slice ??= claimSlice());
  const found: number[] = [];
  for (let tries = 0; tries < 10 * SLICE && found.length < count; tries += 1) {
    const port = from + 1 + (taken % (SLICE - 1));
    taken += 1;
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`there aren't ${count} free ports`);
  return found;
}

/** Its first port, which this process listens on from now on. */
async function claimSlice(): Promise<number> {
  for (let tries = 0; tries < SLICES; tries += 1) {
    const port = FIRST + ((process.pid + tries) % SLICES) * SLICE;
    const server = createServer();
    if (await listens(server, port)) {
      server.unref();
      return port;
    }
  }
  throw new Error("every slice of ports is taken");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await listens(server, port);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return free;
}

async function listens(server: Server, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
}
