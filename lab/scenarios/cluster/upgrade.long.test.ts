// Packages are upgraded on one server after another, our own among them, under agents, a prober and
// a connection that is kept alive: no run fails, no new connection is refused. And one that can't
// be upgraded halts it there, with no server kept from requests, until it is mended.

import assert from "node:assert/strict";
import type { ClusterStatus } from "../../../src/cluster/status.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { UNITS } from "../../../src/host/paths.ts";
import { endArchive, fileOf, offerNewer, versionsOn } from "../../cluster/archive.ts";
import { keepAlive } from "../../cluster/revocation.ts";
import { scenario, seconds } from "../../cluster/scenario.ts";
import type { LabHost } from "../../host.ts";
import { startProber } from "../../prober.ts";

const PORT = 8140;
/** Three puppetservers restart by their package's own script, one after another. */
const UPGRADE_MS_MAX = 2_400_000;
const TURN_MS_MAX = 900_000;
/** A connection that takes longer was refused or lost, not slow. */
const CONNECT_MS_MAX = 3000;
const PARTS = ["haproxy", "keepalived", "etcd", "puppetserver", "understudy"];
const PACKAGES = ["haproxy", "keepalived", "etcd-server", "puppetserver", "understudy"];

const { hazard } = scenario({ crew: ["crew1", "crew2", "crew3"] });

/** Whether `unit` runs a program that is still on the disk. */
async function runsNewProgram(server: LabHost, unit: string): Promise<boolean> {
  const pid = (await server.run(`systemctl show ${unit} --value --property=MainPID`)).trim();
  return !(await server.run(["readlink", `/proc/${pid}/exe`])).includes("(deleted)");
}

hazard("every package is upgraded on every server, and no agent notices", async (scene) => {
  const { cluster, crew, report, undo } = scene;
  const { servers, vip } = cluster;
  const [agent] = crew.agents;
  assert.ok(agent && vip);
  await Promise.all(servers.map(async (server) => offerNewer(server, PACKAGES, "+up1")));
  for (const server of servers) undo(async () => endArchive(server));
  const shown = await cluster.first.run(["understudy", "upgrade", ...PARTS, "--dry-run"], {
    withinMs: TURN_MS_MAX,
  });
  for (const { fqdn } of servers) assert.match(shown, new RegExp(fqdn.replaceAll(".", "\\.")));
  const before = await versionsOn(cluster.first, PACKAGES);

  const watched = { host: cluster.agentHost.name, address: vip, port: PORT };
  await using prober = await startProber(cluster.lab, {
    ...watched,
    everyMs: 50,
    limitMs: CONNECT_MS_MAX,
  });
  const kept = await keepAlive(cluster, vip, agent);
  undo(async () => kept.end());
  const fromMs = wallMs();
  const rollOf = ({ work }: ClusterStatus) =>
    work.upgrade !== undefined && Date.parse(work.upgrade.at) >= fromMs ? work.upgrade : undefined;
  const argv = ["understudy", "upgrade", ...PARTS, "--yes", "--reason", "security"];
  const command = cluster.first.exec(argv, { withinMs: UPGRADE_MS_MAX });
  // Whoever drives it, and whoever works, may be lost at any time.
  for (const server of servers) {
    const isAtWork = (status: ClusterStatus) => {
      const { now, end } = rollOf(status) ?? {};
      return end !== undefined || (now?.id === server.fqdn && now.step === "act");
    };
    await cluster.until(`packages of ${server.name} are upgraded`, isAtWork, UPGRADE_MS_MAX);
    const { name } = servers.find((each) => each !== server) ?? server;
    await cluster.server(name).run(["systemctl", "kill", "--signal=KILL", UNITS.daemon]);
  }
  const end = await cluster.until("its end", (now) => rollOf(now)?.end, UPGRADE_MS_MAX);
  assert.equal(end.how, "done", end.because);
  const { code, stdout, stderr } = await command;
  assert.ok(code === 0 || code === 3, `${code}: ${stdout}${stderr}`);

  const wanted = Object.fromEntries(
    Object.entries(before).map(([name, version]) => [name, `${version}+up1`]),
  );
  for (const server of servers) {
    assert.deepEqual(await versionsOn(server, PACKAGES), wanted, server.name);
    for (const unit of [UNITS.edge, UNITS.etcd, UNITS.vip, UNITS.daemon]) {
      assert.ok(await runsNewProgram(server, unit), `${server.name}: ${unit} runs the old program`);
    }
    assert.match(await server.run(["understudy", "--version"]), /\+up1$/m);
  }
  const { attempts, failed } = await prober.stop();
  assert.equal(failed, 0, `${failed} of ${attempts} new connections failed`);
  const broken = kept.answers().filter(({ status }) => status !== 200).length;
  report(
    `${PACKAGES.length} packages on three servers in ${seconds(wallMs() - fromMs)}; ${attempts} new connections, ${kept.answers().length} answers on a kept one, ${broken} of them broken`,
  );
  await kept.end();
});

hazard("it halts at a server whose archive is gone, and goes on once it is back", async (scene) => {
  const { cluster, crew, undo } = scene;
  const { servers } = cluster;
  await Promise.all(servers.map(async (server) => offerNewer(server, ["keepalived"], "+up2")));
  for (const server of servers) undo(async () => endArchive(server));
  const target = servers[1];
  assert.ok(target);
  const file = fileOf("keepalived");
  // The lists still have it: it shows only when it is fetched.
  await target.run(`mv ${file} ${file}.away`);
  const upgrade = ["understudy", "upgrade", "keepalived", "--yes"];
  const halted = await cluster.first.exec(upgrade, { withinMs: UPGRADE_MS_MAX });
  assert.equal(halted.code, 1, halted.stdout + halted.stderr);
  assert.match(halted.stderr, new RegExp(`halted at ${target.fqdn.replaceAll(".", "\\.")}`));
  assert.match(halted.stderr, /an archive can't be reached/);
  const has = async (server: LabHost) =>
    (await versionsOn(server, ["keepalived"]))["keepalived"]?.endsWith("+up2") === true;
  assert.equal(await has(target), false);
  await crew.allRun();
  await cluster.untilWhole();

  await target.run(`mv ${file}.away ${file}`);
  await cluster.first.run(upgrade, { withinMs: UPGRADE_MS_MAX });
  for (const server of servers) assert.ok(await has(server), server.name);
  const again = await cluster.first.run(upgrade, { withinMs: TURN_MS_MAX });
  assert.match(again, /^Nothing to upgrade: .* keepalived/);
});
