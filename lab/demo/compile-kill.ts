// The demo's act (a): puppetservers are killed while they compile, on a stage where agents run back
// to back.

import { until } from "../../src/base/retry.ts";
import { countReplays } from "../../src/cluster/status.ts";
import { wallMs } from "../../src/host/clock.ts";
import { killMidCompile, untilRestarted } from "../cluster/kill.ts";
import { runAt } from "../cluster/outage.ts";
import type { Stage } from "../cluster/stage.ts";
import type { DemoFacts } from "./judge.ts";

const COMPILE_SECONDS = 4;
const KILL_MS_MAX = 120_000;
const RESTART_MS_MAX = 240_000;
const RUN_END_MS_MAX = 240_000;

/** SIGKILLs the puppetserver that is compiling, in mid-compile, `count` times. */
export async function killCompiling(
  stage: Stage,
  count: number,
): Promise<NonNullable<DemoFacts["kills"]>> {
  const { cluster, loop, say } = stage;
  const certnames = stage.agents.map(({ certname }) => certname);
  for (const certname of certnames) {
    await cluster.mood(certname, { is: "slow", seconds: COMPILE_SECONDS });
  }
  const before = countReplays((await cluster.status()).members);
  const fromMs = wallMs();
  for (let number = 1; number <= count; number += 1) {
    const kill = await killMidCompile(cluster.servers, certnames, KILL_MS_MAX);
    const { server, certname, atMs } = kill;
    say(`SIGKILL of puppetserver on ${server.fqdn}, which was compiling for ${certname}`);
    const run = await until(
      `the end of the run of ${certname}`,
      () => runAt(loop.runs, certname, atMs),
      { withinMs: RUN_END_MS_MAX },
    );
    const outcome = run.ok ? "succeeded all the same" : `FAILED: ${run.because}`;
    say(`that run ${outcome}, in ${(run.ms / 1000).toFixed(1)} s`);
    await untilRestarted(kill, RESTART_MS_MAX);
    await cluster.untilWhole();
    say(`${server.fqdn} compiles again (${number} of ${count})`);
  }
  const replays = countReplays((await cluster.status()).members) - before;
  return { span: { fromMs, toMs: wallMs() }, count, replays };
}
