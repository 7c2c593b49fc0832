// Hazard: what moves an address is killed (kill -9) before any of its steps, on either side.
// Started again it goes on and no connection breaks; never started again, what it did is put back
// by the script that the timer runs, and connections go on or are reset, never silent. Real kernels
// in network namespaces of this test alone. Needs root.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { orderEnd, orderHandOver } from "../../src/vip/switchover/tell.ts";
import { VipClients } from "../vip-clients.ts";
import { ADDRESS, VipNetwork, type VipServer } from "../vip-network.ts";
import { type SwitchoverSide, Switchovers } from "../vip-switchover.ts";

/** Where to begin, to look at one step alone. */
const FROM = Number(process.env["UNDERSTUDY_CRASH_FROM"] ?? 1);
/** More steps than there are. */
const STEPS_MAX = 40;

const network = new VipNetwork("uswc", ["n1", "n2"]);
const switchovers = new Switchovers();
let former: string[] = [];
let count = 0;

before(async () => {
  await network.setUp();
  for (const server of network.servers) await server.serve();
  await network.soleHolder("a holder");
  former = await states();
});
after(async () => {
  await switchovers.killAll();
  await network.tearDown();
});

async function states(): Promise<string[]> {
  return Promise.all(network.servers.map(async (server) => server.kernelState()));
}

interface Scene {
  id: string;
  clients: VipClients;
  victim: SwitchoverSide;
  other: SwitchoverSide;
  old: SwitchoverSide;
  next: SwitchoverSide;
}

/** Both sides have their order, the other one's keeper runs. */
async function setScene(side: "old" | "new"): Promise<Scene> {
  const from = await network.soleHolder("a holder");
  const to = network.servers.find((each) => each !== from) as VipServer;
  const clients = new VipClients(network.clients, {
    address: ADDRESS,
    everyMs: 50,
    kept: 2,
    listening: 2,
  });
  await clients.until("answers", (report) => report.heard > 10);
  const id = `crash-${(count += 1)}`;
  const [old, next] = [switchovers.side(from, "old"), switchovers.side(to, "new")];
  await old.order(id, to, 600);
  await next.order(id, from, 600);
  const [victim, other] = side === "old" ? [old, next] : [next, old];
  other.start();
  return { id, clients, victim, other, old, next };
}

/** What the daemons do, to the moment when the connections are kept. */
async function drive({ id, old, next }: Scene): Promise<void> {
  await Promise.all([old.until(id, "prepared"), next.until(id, "prepared")]);
  await orderHandOver(old.paths);
  await Promise.all([old.until(id, "moved"), next.until(id, "moved")]);
  await copyFile(old.paths.theirs, next.paths.theirs);
}

/** Connections have got something again since now, or were reset. */
async function noneIsSilent(clients: VipClients): Promise<void> {
  const { heard } = await clients.report();
  const report = await clients.until(
    "no silence",
    ({ quietMs, open, heard: now }) => quietMs < 500 && (open === 0 || now > heard),
  );
  const hows = new Set(report.failures.map(({ how }) => how));
  hows.delete("ECONNRESET");
  assert.deepEqual([...hows], [], JSON.stringify(report));
}

for (const side of ["old", "new"] as const) {
  test(`a keeper of the ${side} side that is killed before any step goes on when it is started again`, async () => {
    for (let at = FROM; at < STEPS_MAX; at += 1) {
      const scene = await setScene(side);
      const { victim, clients, id } = scene;
      const driving = drive(scene).then(async () => {
        // The steps of its end come when its connections have ended.
        const { failures } = await clients.end();
        assert.deepEqual(failures, [], `${at}`);
        await orderEnd(scene.old.paths, id);
        await orderEnd(scene.next.paths, id);
      });
      const step = await victim.startStanding(at);
      console.log(`# ${side} ${at}: ${step ?? "ended before"}`);
      await victim.kill();
      if (existsSync(victim.paths.order)) victim.start();
      await driving;
      await switchovers.settle();
      assert.deepEqual(await states(), former, step);
      if (step === undefined) return;
    }
    assert.fail("it never ended");
  });

  test(`what a keeper of the ${side} side did that is killed before any step is undone without it`, async () => {
    for (let at = FROM; at < STEPS_MAX; at += 1) {
      const scene = await setScene(side);
      const { victim, other, clients, id } = scene;
      const ending = async () => {
        await drive(scene);
        await orderEnd(victim.paths, id);
      };
      // It stands still somewhere, so this comes to an end only when it doesn't.
      void ending().catch(() => undefined);
      const step = await victim.startStanding(at);
      console.log(`# ${side} ${at}: ${step ?? "ended before"}`);
      await victim.kill();
      await victim.undo(id);
      await noneIsSilent(clients);
      await orderEnd(other.paths, id);
      await switchovers.settle();
      await noneIsSilent(clients);
      assert.deepEqual(await states(), former, step);
      await clients.end();
      if (step === undefined) return;
    }
    assert.fail("it never ended");
  });
}
