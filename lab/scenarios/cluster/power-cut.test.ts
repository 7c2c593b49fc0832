// The plain case: the server that holds the address loses power while agents run and another server
// compiles. The address moves, no run fails but those that were connected to the dead edge, a new
// agent enrols meanwhile, and the server comes back into every list.

import assert from "node:assert/strict";
import { wallMs } from "../../../src/host/clock.ts";
import { bootDead, findHolder } from "../../cluster.ts";
import { makeAgent } from "../../cluster/crew.ts";
import { wasOnDeadEdge } from "../../cluster/outage.ts";
import { bootAgain, cutHolder, enrolMeanwhile, measureGap } from "../../cluster/power-cut.ts";
import { scenario, seconds } from "../../cluster/scenario.ts";
import { AUTOSIGNED } from "../../cluster/site.ts";
import { watchEdge } from "../../cluster/watch.ts";

const { hazard } = scenario({ crew: ["crew1", "crew2", "crew3"] });

hazard("the server that holds the address loses power while agents run", async (scene) => {
  const { cluster, crew, excuse, report, undo } = scene;
  const newcomer = await makeAgent(cluster, `late${wallMs()}.${AUTOSIGNED}`);
  await using watch = await watchEdge(cluster);
  const stage = { cluster, say: report, agents: crew.agents, loop: crew.loop, ...watch };
  for (const { certname } of crew.agents) {
    undo(async () => cluster.mood(certname, { is: "plain" }));
  }
  undo(async () => bootDead(cluster.servers));

  const outage = await cutHolder(stage);
  excuse((run) => wasOnDeadEdge(run, outage));
  const [gapMs, enrolled] = await Promise.all([
    measureGap(stage, outage),
    enrolMeanwhile(stage, newcomer),
  ]);
  assert.notEqual(gapMs, undefined, "the address did not come back");
  assert.ok(enrolled.ok, enrolled.because);
  const others = cluster.servers.filter((server) => server !== outage.server);
  assert.ok(await findHolder(others, cluster.vip ?? ""), "nobody else has the address");
  await crew.allRun();
  assert.equal(await outage.server.isUp(), false);

  const rejoinMs = await bootAgain(stage, outage);
  report(`${outage.server.name} was back in every list ${seconds(rejoinMs)} after power on`);
});
