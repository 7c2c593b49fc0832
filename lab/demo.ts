// npm run demo: three real Puppet servers lose one, and no agent notices. Sets up the lab, shows
// it, judges it, and takes everything down again. Prints each step with its time; writes
// out/demo.json.

import { mkdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { Fault, isFault, messageOf, renderFault } from "../src/base/fault.ts";
import { monotonicMs, wallMs } from "../src/host/clock.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import { type Agent, loopAgents } from "./agents.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { HUNG_MS, makeAgent } from "./cluster/crew.ts";
import { collectLogs } from "./cluster/journals.ts";
import { awaitRunsAfter, bootAgain, cutHolder } from "./cluster/power-cut.ts";
import { enrolMeanwhile, measureGap } from "./cluster/power-cut.ts";
import { AUTOSIGNED } from "./cluster/site.ts";
import type { Stage } from "./cluster/stage.ts";
import { watchEdge } from "./cluster/watch.ts";
import { killCompiling } from "./demo/compile-kill.ts";
import { enrolAutosigned, enrolSigned } from "./demo/enrol.ts";
import { type DemoFacts, type Enrolment, judgeDemo } from "./demo/judge.ts";
import { renderDemo, TO_TRY } from "./demo/render.ts";
import { labFolder } from "./instance.ts";
import { orInterrupted, runInterruptible } from "./interrupt.ts";

const TOP = join(import.meta.dirname, "..");
const RESULT = join(TOP, "out", "demo.json");
const LOGS = join(TOP, "out", "demo-logs");
const KILLS = 3;

const HELP = `Usage: npm run demo -- [OPTION]

Boots three Debian servers and an agents' host on this machine, sets Understudy up on them, and then
  (a) kills puppetservers while they compile,
  (b) cuts the power of the server that holds the virtual IP, while agents run,
  (c) enrols a new agent meanwhile,
  (d) boots that server again.
Needs root (systemd-nspawn, network namespaces), about 4 GB of memory and ten minutes.

Nothing runs on afterwards. What stays, so that the next time is faster: the servers' base system in
${labFolder()} (0.8 GB; rm -r removes it), node_modules, and Debian packages that
were missing (systemd-container, mmdebstrap and others; apt-get remove).

  --keep   leave the lab up, and print what to try
  --help   this text

Exit code: 0 the promise was kept, 1 it was broken or the demo failed (out/demo-logs has the journals).
Result: out/demo.json
`;

const begun = monotonicMs();

function say(line: string): void {
  const seconds = (monotonicMs() - begun) / 1000;
  console.log(`${seconds.toFixed(1).padStart(6)} s  ${line}`);
}

function title(text: string): void {
  console.log(`\n${text}`);
}

async function main(signal: AbortSignal): Promise<number> {
  const { keep, help } = readOptions();
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const path of [RESULT, LOGS]) await rm(path, { recursive: true, force: true });
  await mkdir(join(TOP, "out"), { recursive: true });
  title("Three servers and an agents' host");
  const cluster = await openCluster({ say, signal, logs: LOGS }).catch((error: unknown) => {
    if (!isFault(error, "lab.interrupted")) console.error(`Logs, if any: ${shown(LOGS)}/`);
    throw error;
  });
  let left = false;
  try {
    const code = await orInterrupted(play(cluster, signal), signal);
    if (!keep) return code;
    await cluster.lab.leaveUp();
    left = true;
    console.log(`\n${TO_TRY}`);
    return code;
  } finally {
    if (!left) await cluster.down();
  }
}

/** Shows and judges. Returns the exit code. */
async function play(cluster: Cluster, signal: AbortSignal): Promise<number> {
  const facts: DemoFacts = { wallMs: 0, enrolments: [], runs: [] };
  let failure: unknown;
  try {
    await show(cluster, facts);
  } catch (error) {
    // The end of its lab under way is no verdict.
    signal.throwIfAborted();
    failure = error;
  }
  return conclude(cluster, facts, failure);
}

function readOptions(): { keep: boolean; help: boolean } {
  const options = { keep: { type: "boolean" }, help: { type: "boolean", short: "h" } } as const;
  try {
    const { keep = false, help = false } = parseArgs({ options }).values;
    return { keep, help };
  } catch (error) {
    const hints = ["npm run demo -- --help lists what there is"];
    throw new Fault("lab.bad-option", messageOf(error), { hints, cause: error });
  }
}

/** Plays all acts; `facts` fills up as it goes on, so that a failure leaves what was seen. */
async function show(cluster: Cluster, facts: DemoFacts): Promise<void> {
  title("Agents enrol through the virtual IP");
  const first = await enrolAutosigned(cluster, `web1.${AUTOSIGNED}`);
  report(facts, first.enrolment);
  const second = await enrolSigned(cluster, "db1.lab.test", say);
  report(facts, second.enrolment);
  const others = await Promise.all(
    [2, 3].map((n) => enrolAutosigned(cluster, `web${n}.${AUTOSIGNED}`)),
  );
  for (const { enrolment } of others) report(facts, enrolment);
  const newcomer = await makeAgent(cluster, `late1.${AUTOSIGNED}`);

  const agents = [first, second, ...others].map(({ agent }) => agent);
  await using watch = await watchEdge(cluster);
  await using loop = loopAgents(agents, { withinMs: HUNG_MS });
  facts.runs = loop.runs;
  say(`${agents.length} agents run back to back from now on; a prober connects every 5 ms`);
  await perform({ cluster, say, agents, loop, ...watch }, facts, newcomer);
}

/** Acts (a) to (d), with agents running all the while. */
async function perform(stage: Stage, facts: DemoFacts, newcomer: Agent): Promise<void> {
  title("(a) A puppetserver is killed in mid-compile");
  facts.kills = await killCompiling(stage, KILLS);

  title("(b) The server that holds the address loses power; (c) a new agent enrols meanwhile");
  const outage = await cutHolder(stage);
  const { server, atMs, open } = outage;
  const cutFacts = () => ({ server: server.fqdn, open, span: { fromMs: atMs, toMs: wallMs() } });
  facts.cut = { ...cutFacts(), gapMs: undefined };
  const [gapMs, enrolled] = await Promise.all([
    measureGap(stage, outage),
    enrolMeanwhile(stage, newcomer),
  ]);
  facts.cut = { ...cutFacts(), gapMs };
  facts.enrolDuringOutage = enrolled;
  await awaitRunsAfter(stage, outage);

  title("(d) The server gets its power back");
  facts.rejoinMs = await bootAgain(stage, outage);
  say(`${server.fqdn} is back in every list:`);
  console.log(`\n${await server.run(["understudy", "status"])}`);
  say("the agents end their last runs");
  facts.runs = await stage.loop.stop();
  facts.cut = { ...cutFacts(), gapMs };
}

function report(facts: DemoFacts, enrolment: Enrolment): void {
  const { agent, how, ok, ms, because } = enrolment;
  facts.enrolments = [...facts.enrolments, enrolment];
  say(`${agent}: ${how}, ${ok ? `first run done after ${(ms / 1000).toFixed(1)} s` : because}`);
}

/**
 * Prints table and verdict, writes the result, and collects logs when there is something to look
 * for.
 */
async function conclude(cluster: Cluster, facts: DemoFacts, failure: unknown): Promise<number> {
  if (failure !== undefined) console.error(`\n${renderFault(failure)}`);
  facts.wallMs = monotonicMs() - begun;
  const judgement = judgeDemo(facts);
  if (failure !== undefined) {
    judgement.result.verdict = "broken";
    judgement.broken.unshift(messageOf(failure));
  }
  await writeFileAtomic(RESULT, `${JSON.stringify(judgement.result, undefined, 2)}\n`);
  console.log(`\n${renderDemo(facts, judgement)}\n\nResult: ${shown(RESULT)}`);
  if (judgement.result.verdict === "kept") return 0;
  await collectLogs([...cluster.servers, ...cluster.agentHosts], LOGS);
  console.log(`Logs: ${shown(LOGS)}/`);
  return 1;
}

/** A path as people here would type it. */
function shown(path: string): string {
  return relative(process.cwd(), path);
}

await runInterruptible(main);
