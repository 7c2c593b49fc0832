// What administrators plan, under agents that run all the while: the server that they come to is
// drained; a drained one loses power, boots and is drained still; every puppetserver restarts in
// turn while the daemons that drive it are killed. No run fails.

import assert from "node:assert/strict";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { DrainAnswer } from "../../../src/setup/work-contract.ts";
import { isDrainedEverywhere } from "../../cluster/drained.ts";
import { scenario, seconds } from "../../cluster/scenario.ts";
import type { LabHost } from "../../host.ts";
import { startProber } from "../../prober.ts";

const DAEMON = "understudy.service";
/** A roll waits for every last request, and puppetserver takes its time. */
const ROLL_MS_MAX = 1_200_000;
const DRAIN_MS_MAX = 900_000;
const FOLLOW_MS_MAX = 120_000;
/** A connection that takes longer was refused or lost, not slow. */
const CONNECT_MS_MAX = 3000;

const { hazard } = scenario({ crew: ["crew1", "crew2", "crew3"] });

/** Which start of its puppetserver each server has. */
async function starts(servers: readonly LabHost[]): Promise<string[]> {
  const command = "systemctl show puppetserver.service --value --property=InvocationID";
  return Promise.all(servers.map(async (server) => (await server.run(command)).trim()));
}

hazard(
  "a drained server loses power, boots, and is drained until somebody ends that",
  async (scene) => {
    const { cluster, crew, undo } = scene;
    const admin = (await cluster.holder()) ?? cluster.first;
    const target = cluster.servers.find((server) => server !== admin);
    assert.ok(target);
    const { name, fqdn } = target;
    undo(async () => admin.run(["understudy", "undrain", fqdn]));
    undo(async () => ((await target.isUp()) ? undefined : target.boot()));

    const drain = ["understudy", "drain", name, "--reason", "kernel update", "--for", "1h"];
    await admin.run(drain, { withinMs: DRAIN_MS_MAX });
    const status = await cluster.status(admin);
    assert.ok(isDrainedEverywhere(status, fqdn));
    assert.match(status.notes.join("\n"), new RegExp(`^${fqdn} is drained by .*"kernel update"`));
    await crew.allRun();

    await target.powerCut();
    await crew.allRun();
    await target.boot();
    const isBack = (now: ClusterStatus) => {
      const own = now.members.find(({ member }) => member.id === fqdn)?.local;
      return own?.drained === true && isDrainedEverywhere(now, fqdn);
    };
    await cluster.until(`${name} is back, and drained`, isBack, FOLLOW_MS_MAX);
    await crew.allRun();
    await target.run(["understudy", "undrain", name]);
  },
);

hazard(
  "the server that agents come to is drained, twice in a row: no connection breaks",
  async (scene) => {
    const { cluster, crew, report, undo } = scene;
    assert.ok(cluster.vip);
    await using prober = await startProber(cluster.lab, {
      host: cluster.agentHost.name,
      address: cluster.vip,
      port: 8140,
      everyMs: 10,
      limitMs: CONNECT_MS_MAX,
    });
    const fromMs = wallMs();
    for (let turn = 0; turn < 2; turn += 1) {
      const holder = await cluster.holder();
      const other = cluster.servers.find((server) => server !== holder);
      assert.ok(holder && other);
      undo(async () => other.run(["understudy", "undrain", holder.fqdn]));
      const said = await other.run(["understudy", "drain", holder.name, "--json"], {
        withinMs: DRAIN_MS_MAX,
      });
      assert.equal(DrainAnswer.parse(JSON.parse(said)).handedOver?.breaks, "", said);
      assert.notEqual(await cluster.holder(), holder);
      await crew.allRun();
      await other.run(["understudy", "undrain", holder.name]);
    }
    await crew.assertUnharmed(fromMs);
    const { attempts, failed } = await prober.stop();
    assert.equal(failed, 0, `${failed} of ${attempts} new connections failed`);
    report(`drained twice, ${attempts} new connections`);
  },
);

hazard("every puppetserver restarts once, whichever daemon is killed meanwhile", async (scene) => {
  const { cluster, report } = scene;
  const before = await starts(cluster.servers);
  const fromMs = wallMs();
  const restart = ["understudy", "restart", "puppetserver", "--rolling"];
  const command = cluster.first.exec(restart, { withinMs: ROLL_MS_MAX });
  const rollOf = ({ work }: ClusterStatus) =>
    work.roll !== undefined && Date.parse(work.roll.at) >= fromMs ? work.roll : undefined;
  for (const server of cluster.servers) {
    const isUnderWay = (status: ClusterStatus) =>
      rollOf(status)?.now !== undefined || rollOf(status)?.end !== undefined;
    await cluster.until("a server's turn", isUnderWay, FOLLOW_MS_MAX);
    await server.run(["systemctl", "kill", "--signal=KILL", DAEMON]);
  }
  const end = await cluster.until("its end", (status) => rollOf(status)?.end, ROLL_MS_MAX);
  assert.equal(end.how, "done", end.because);
  await command;
  const after = await starts(cluster.servers);
  assert.ok(
    after.every((start, index) => start !== before[index]),
    "a puppetserver has not been started anew",
  );
  report(`three puppetservers restarted in turn in ${seconds(wallMs() - fromMs)}`);
});
