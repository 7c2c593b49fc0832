// Ports for servers that tests start. Danger: a port that the system hands out for "any" may be
// taken by somebody's outgoing connection before the server listens, so these lie below that range,
// and each test process takes from a slice of its own.

import { createServer } from "node:net";

const FIRST = 12_000;
const SLICE = 50;
const SLICES = 400;

let taken = 0;

/** `count` ports of 127.0.0.1 that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let tries = 0; tries < 10 * SLICE && found.length < count; tries += 1) {
    const port = FIRST + (process.pid % SLICES) * SLICE + (taken % SLICE);
    taken += 1;
    if (await isFree(port)) found.push(port);
  }
  if (found.length < count) throw new Error(`there aren't ${count} free ports`);
  return found;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => resolve(true));
  });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return free;
}
