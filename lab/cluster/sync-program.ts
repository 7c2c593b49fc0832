// Brings one PuppetDB level with others as a courier does, and ends: for scenarios that run it in a
// lab host's network and kill it. Arguments: a folder for what it remembers, the base URL of the
// PuppetDB, those of the others. Prints a line for each step, the round as JSON last.

import { createLog } from "../../src/base/log.ts";
import { pause } from "../../src/base/retry.ts";
import { createPuppetDbClient } from "../../src/courier/puppetdb-client.ts";
import { startSync } from "../../src/courier/sync/sync.ts";
import { inTurn } from "../../src/courier/turns.ts";

const LOOK_MS = 50;

const [stateDir = "", own = "", ...rest] = process.argv.slice(2);
const stop = new AbortController();
const { signal } = stop;
const here = inTurn(createPuppetDbClient({ id: "here", url: own }));
const others = await Promise.all(
  rest.map(async (url, index) => {
    const client = createPuppetDbClient({ id: `other${index + 1}`, url });
    const health = await client.health(signal);
    return { client, health: () => health, filling: false };
  }),
);
const log = createLog((line) => process.stderr.write(`${line}\n`));
const none = () => "";
const sync = await startSync({
  stateDir,
  here,
  others,
  filling: false,
  notReady: none,
  lost: none,
  deletedAt: () => undefined,
  log,
  signal,
});
await sync.looked(await here.health(signal));
const asked = sync.ask();
if ("because" in asked) throw new Error(asked.because);
for (let said = ""; ;) {
  const { running, last, standing } = sync.status();
  if (last?.id === asked.id) {
    process.stdout.write(`${JSON.stringify({ ...last, standing })}\n`);
    break;
  }
  const line = running === undefined ? said : `${running.what} ${running.done} of ${running.of}`;
  if (line !== said) process.stdout.write(`${line}\n`);
  said = line;
  await pause(LOOK_MS);
}
stop.abort();
await sync.ended;
for (const { client } of [{ client: here }, ...others]) client.close();
