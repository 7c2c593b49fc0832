// npm run demo: three real Puppet servers lose one, and no agent notices. Sets up the lab, shows
// it, judges it, and takes everything down again. Prints each step with its time; writes
// out/demo.json.

import { mkdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { Fault, isFault, messageOf, renderFault } from "../src/base/fault.ts";
import { monotonicMs, wallMs } from "../src/host/clock.ts";
import { writeFileAtomic } from "../src/host/files.ts";
import { type Cluster, openCluster } from "./cluster.ts";
import { interruption, orInterrupted } from "./cluster/interrupt.ts";
import { collectLogs } from "./cluster/journals.ts";
import { AUTOSIGNED } from "./cluster/site.ts";
import { awaitRunsAfter, bootAgain, cutHolder } from "./demo/acts.ts";
import { enrolMeanwhile, killCompiling, measureGap } from "./demo/acts.ts";
import { enrolAutosigned, enrolSigned, makeAgent } from "./demo/enrol.ts";
import { type DemoFacts, type Enrolment, judgeDemo } from "./demo/judge.ts";
import { renderDemo, TO_TRY } from "./demo/render.ts";
import { setStage } from "./demo/stage.ts";

const TOP = join(import.meta.dirname, "..");
const RESULT = join(TOP, "out", "demo.json");
const LOGS = join(TOP, "out", "demo-logs");
const KILLS = 3;
const INTERRUPTED = 130;

const HELP = `Usage: npm run demo -- [OPTION]

Boots three Debian servers and an agents' host on this machine, sets Understudy up on them, and then
  (a) kills puppetservers while they compile,
  (b) cuts the power of the server that holds the virtual IP, while agents run,
  (c) enrols a new agent meanwhile,
  (d) boots that server again.
Needs root (systemd-nspawn, network namespaces), about 4 GB of memory and ten minutes. Nothing is left behind.

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

async function main(): Promise<number> {
  const { keep, help } = readOptions();
  if (help) {
    process.stdout.write(HELP);
    return 0;
  }
  for (const path of [RESULT, LOGS]) await rm(path, { recursive: true, force: true });
  await mkdir(join(TOP, "out"), { recursive: true });
  const signal = interruption();
  title("Three servers and an agents' host");
  const cluster = await openCluster({ say, signal, logs: LOGS });
  const facts: DemoFacts = { wallMs: 0, enrolments: [], runs: [] };
  let failure: unknown;
  try {
    await orInterrupted(show(cluster, facts), signal);
  } catch (error) {
    failure = error;
  }
  const code = await conclude(cluster, facts, failure);
  const keepIt = keep && !isFault(failure, "lab.interrupted");
  if (keepIt) {
    await cluster.lab.leaveUp();
    console.log(`\n${TO_TRY}`);
  } else {
    await cluster.down();
  }
  return code;
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
  const stage = await setStage(cluster, agents, say);
  facts.runs = stage.loop.runs;
  say(`${agents.length} agents run back to back from now on; a prober connects every 5 ms`);

  title("(a) A puppetserver is killed in mid-compile");
  const kills = await killCompiling(stage, KILLS);
  if (kills !== undefined) facts.kills = kills;

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
  if (enrolled !== undefined) facts.enrolDuringOutage = enrolled;
  await awaitRunsAfter(stage, outage);

  title("(d) The server gets its power back");
  facts.rejoinMs = await bootAgain(stage, outage);
  say(`${server.fqdn} is back in every list:`);
  console.log(`\n${await server.run(["understudy", "status"])}`);
  say("the agents end their last runs");
  facts.runs = await stage.loop.stop();
  facts.cut = { ...cutFacts(), gapMs };
  await stage.prober.stop();
  await stage.connections.stop();
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
  if (isFault(failure, "lab.interrupted")) return INTERRUPTED;
  facts.wallMs = monotonicMs() - begun;
  const judgement = judgeDemo(facts);
  if (failure !== undefined) {
    judgement.result.verdict = "broken";
    judgement.broken.unshift(messageOf(failure));
  }
  await writeFileAtomic(RESULT, `${JSON.stringify(judgement.result, undefined, 2)}\n`);
  console.log(`\n${renderDemo(facts, judgement)}\n\nResult: ${relative(process.cwd(), RESULT)}`);
  if (judgement.result.verdict === "kept") return 0;
  await collectLogs([...cluster.servers, ...cluster.agentHosts], LOGS);
  console.log(`Logs: ${relative(process.cwd(), LOGS)}/`);
  return 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(renderFault(error));
  const interrupted = isFault(error, "lab.interrupted");
  if (!interrupted)
    console.error(`Logs, as far as there are any: ${relative(process.cwd(), LOGS)}/`);
  process.exitCode = interrupted ? INTERRUPTED : 1;
}
// What was interrupted may still wait for something; its lab is gone.
process.exit();
