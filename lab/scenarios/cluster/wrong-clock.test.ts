// A server whose clock goes wrong while it is a member: it dates no certificate, says so, and what
// is asked of its edge is signed by another. Once its clock is right again, it signs again.

import assert from "node:assert/strict";
import { until } from "../../../src/base/retry.ts";
import { wallMs } from "../../../src/host/clock.ts";
import { scenario } from "../../cluster/scenario.ts";
import { fetchCertificate, freshNames, submit } from "../../cluster/signings.ts";

const DAEMON = "understudy.service";
const NOTICED = { withinMs: 120_000, everyMs: 500 };
const OFF = /clock is [56]\d\d s (?:ahead of|behind) the others': it signs nothing/;

const { hazard } = scenario({ crew: ["crew1", "crew2"] });

hazard("a server whose clock is 10 minutes off signs nothing, and names it", async (scene) => {
  const { cluster, report, undo } = scene;
  const other = cluster.first;
  const server = cluster.server("s2");
  const waits = `clock${wallMs()}.lab.test`;
  assert.equal((await submit(cluster, other, waits)).status, 200);
  const sign = async () => server.exec(["understudy", "ca", "sign", waits, "--json"]);
  const answers = async () => (await server.exec(["understudy", "status"])).ok;
  const restart = async () => {
    await server.run(["systemctl", "restart", DAEMON]);
    await until("its daemon answers", answers, NOTICED);
  };
  undo(async () => {
    await server.skewClock(undefined, [DAEMON]);
    await restart();
  });
  for (const offset of ["+10m", "-10m"]) {
    await server.skewClock(offset, [DAEMON]);
    await restart();
    const warned = async () => OFF.test(await server.run(["understudy", "status"]));
    await until("its warning", warned, NOTICED);
    const { code, stdout } = await sign();
    assert.equal(code, 1, stdout);
    assert.match(stdout, /"code": "ca\.clock-off"/);
    // Until its edge has noticed too, a request waits for an administrator.
    const signed = async () => {
      const [name = ""] = freshNames("clock", 1);
      assert.equal((await submit(cluster, server, name)).status, 200);
      return fetchCertificate(cluster, server, name);
    };
    await until("a certificate from another server", signed, NOTICED);
    report(`${server.name} at ${offset}: it warned, and another server signed for its edge`);
  }
  await server.skewClock(undefined, [DAEMON]);
  await restart();
  await until("it signs again", async () => (await sign()).ok, NOTICED);
});
