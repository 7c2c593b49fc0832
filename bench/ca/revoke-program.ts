// Started by revocation.ts in the network of an agents' host: revokes one certificate after the
// other as `puppetserver ca revoke` does, while that certificate keeps asking at every door until
// it is refused. Input: a RevokeLoad as JSON. Output: a Revoked as a line of JSON for each.

import { text } from "node:stream/consumers";
import { pause } from "../../src/base/retry.ts";
import { monotonicMs } from "../../src/host/clock.ts";
import { Connection, type Door, type Identity } from "./connection.ts";
import { RevokeLoad } from "./revoke-plan.ts";

const LOOK_EVERY_MS = 5;
const REFUSED_MS_MAX = 60_000;
/** Anybody may ask for it, but nobody with a revoked certificate. */
const ASKED = "/puppet-ca/v1/certificate/ca";

const load = RevokeLoad.parse(JSON.parse(await text(process.stdin)));
const admin = new Connection(load.via, load.ca, load.admin);
await expect(admin, 200);
for (const { certname, identity } of load.revoke) {
  const done = { certname, ...(await revoke(certname, identity)) };
  process.stdout.write(`${JSON.stringify(done)}\n`);
}
admin.close();

async function revoke(certname: string, identity: Identity | undefined) {
  const watches = identity === undefined ? [] : load.watched.map((door) => watch(door, identity));
  // The connections are up, and nobody refuses yet.
  await Promise.all(watches.map(({ ready }) => ready));
  const begun = monotonicMs();
  const body = '{"desired_state":"revoked"}';
  const path = `/puppet-ca/v1/certificate_status/${certname}`;
  const answer = await admin.send("PUT", path, body, "application/json");
  const answeredMs = monotonicMs() - begun;
  if (answer.status !== 204) throw new Error(`${certname}: ${answer.status}: ${answer.body}`);
  const refused = await Promise.all(watches.map((one) => one.refused));
  return { answeredMs, refusedMs: Math.max(0, ...refused.map((at) => at - begun)) };
}

/** Asks at a door again and again. `refused` tells when the first refusal was there. */
function watch(door: Door, identity: Identity) {
  const ready = Promise.withResolvers<void>();
  const look = async () => {
    const end = monotonicMs() + REFUSED_MS_MAX;
    let connection = new Connection(door, load.ca, identity);
    await expect(connection, 200);
    ready.resolve();
    while (monotonicMs() < end) {
      if (load.fresh) {
        connection.close();
        connection = new Connection(door, load.ca, identity);
      }
      if (await isRefused(connection)) {
        connection.close();
        return monotonicMs();
      }
      await pause(LOOK_EVERY_MS);
    }
    throw new Error(`${door.name} lets it in for longer than ${REFUSED_MS_MAX} ms`);
  };
  const refused = look();
  refused.catch(ready.reject);
  return { ready: ready.promise, refused };
}

async function isRefused(connection: Connection): Promise<boolean> {
  try {
    return (await connection.send("GET", ASKED)).status === 403;
  } catch (error) {
    // Stock refuses in the handshake.
    if (load.fresh) return true;
    throw error;
  }
}

async function expect(connection: Connection, status: number): Promise<void> {
  const answer = await connection.send("GET", ASKED);
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.body.slice(0, 200)}`);
}
