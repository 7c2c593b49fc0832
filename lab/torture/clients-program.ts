// Clients that torture the certificate authority, in the network of the lab's agents, until
// SIGTERM; after a second one they use once more whatever was revoked, and end. Argument: a folder
// with options.json; what they see is appended to acts.jsonl there. Prints "rest" after the first.

import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client, type ClientOptions } from "./client.ts";
import type { Act } from "./history.ts";
import { createRandom } from "./random.ts";

/** What options.json has. */
export type ProgramOptions = Pick<
  ClientOptions,
  "servers" | "admin" | "domain" | "run" | "restMs"
> & {
  clients: number;
  seed: number;
};

const folder = process.argv[2] ?? "";
const {
  clients: count,
  seed,
  ...options
} = JSON.parse(readFileSync(join(folder, "options.json"), "utf8")) as ProgramOptions;
const note = (act: Act) => appendFileSync(join(folder, "acts.jsonl"), `${JSON.stringify(act)}\n`);

const clients = Array.from({ length: count }, (_, client) => {
  const random = createRandom(seed * 1000 + client);
  return new Client({ ...options, client, random, note });
});

const resting = new AbortController();
const ending = new AbortController();
process.on("SIGTERM", () => (resting.signal.aborted ? ending : resting).abort());
// A wait for a signal alone doesn't keep the process.
const held = setInterval(() => undefined, 60_000);
const told = once(ending.signal, "abort");

await Promise.all(
  clients.map(async (client) => {
    while (!resting.signal.aborted) await client.act();
  }),
);
process.stdout.write("rest\n");
await told;
clearInterval(held);
await Promise.all(clients.map(async (client) => client.useWhatIsGone()));
