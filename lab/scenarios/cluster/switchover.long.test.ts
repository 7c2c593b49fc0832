// The address moves to every server in turn, and back, under agents and a connection that is kept
// alive, with daemons killed in the middle of it: no run fails, no connection breaks, nothing of it
// is left afterwards.

import assert from "node:assert/strict";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { switchOver } from "../../cluster/commands.ts";
import { keepAlive } from "../../cluster/revocation.ts";
import { type Scene, scenario } from "../../cluster/scenario.ts";
import type { LabHost } from "../../host.ts";
import { startProber } from "../../prober.ts";

const PORT = 8140;
const MOVES = 6;
const MOVE_MS_MAX = 120_000;
const END_MS_MAX = 300_000;
/** A connection that takes longer was refused or lost, not slow. */
const CONNECT_MS_MAX = 3000;

const { hazard } = scenario({ crew: ["crew1", "crew2", "crew3"] });

/**
 * The server that holds the address, as the servers' kernels say, and where it goes: from `home` to
 * each other one in turn, and back. Round and round is refused: the first would pass on connections
 * of two others.
 */
async function sides(
  { cluster }: Scene,
  home: LabHost | undefined,
  move: number,
): Promise<[LabHost, LabHost]> {
  const holder = await cluster.holder();
  assert.ok(home && holder, "nobody holds the address");
  const others = cluster.servers.filter((server) => server !== home);
  const to = holder === home ? others[(move / 2) % others.length] : home;
  assert.ok(to);
  return [holder, to];
}

hazard("the address moves on purpose, again and again: no connection breaks", async (scene) => {
  const { cluster, crew, report, undo } = scene;
  const [agent] = crew.agents;
  assert.ok(agent && cluster.vip);
  const watched = { host: cluster.agentHost.name, address: cluster.vip, port: PORT };
  await using prober = await startProber(cluster.lab, {
    ...watched,
    everyMs: 10,
    limitMs: CONNECT_MS_MAX,
  });
  const kept = await keepAlive(cluster, cluster.vip, agent);
  undo(async () => kept.end());
  const settings = await settingsOf(cluster.servers);
  const fromMs = wallMs();
  const home = await cluster.holder();
  for (let move = 0; move < MOVES; move += 1) {
    const [holder, to] = await sides(scene, home, move);
    // Typed on each of the three: on the former, the new and the third server.
    const via = cluster.servers[move % cluster.servers.length] ?? holder;
    await switchOver(via, to);
    assert.equal((await cluster.holder())?.name, to.name);
    if (move === 2) {
      for (const server of [holder, to]) await server.signal("understudy.service", "SIGKILL");
    }
    if (move === 4) {
      const units = "understudy-switchover@old.service understudy-switchover@new.service";
      for (const server of cluster.servers) {
        await server.run(`systemctl kill --signal=SIGKILL ${units} || true`);
      }
    }
    await crew.allRun();
    await cluster.until(`${to.name} tells that it holds it`, isHeldBy(scene, to), MOVE_MS_MAX);
  }
  const answers = kept.answers();
  const broken = answers.filter(({ status }) => status !== 200);
  assert.deepEqual(broken, [], "requests on the kept connection failed");
  assert.equal(new Set(answers.map(({ port }) => port)).size, 1, "it was another connection");
  const { attempts, failed } = await prober.stop();
  assert.equal(failed, 0, `${failed} of ${attempts} new connections failed`);
  report(`${MOVES} moves, ${answers.length} answers on one connection, ${attempts} new ones`);
  await kept.end();
  await crew.assertUnharmed(fromMs);
  for (const server of cluster.servers) {
    await server.untilHolds("! nft list tables | grep -q understudy_switchover", END_MS_MAX);
    await server.untilHolds(`! ip addr show dev lo | grep -q ${cluster.vip}/`, END_MS_MAX);
  }
  assert.deepEqual(await settingsOf(cluster.servers), settings);
});

function isHeldBy({ cluster }: Scene, server: LabHost) {
  return ({ members }: ClusterStatus): boolean =>
    members.some(
      ({ member, local }) =>
        member.id === server.fqdn && local?.addresses.includes(cluster.vip ?? "") === true,
    );
}

/** What a switchover changes of the kernel's settings for a while. */
async function settingsOf(servers: readonly LabHost[]): Promise<string[]> {
  const names = "arp_ignore|arp_announce|accept_local|rp_filter|ip_forward";
  return Promise.all(
    servers.map(async (server) => server.run(`sysctl -a 2>/dev/null | grep -E '${names}'`)),
  );
}
