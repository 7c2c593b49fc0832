// A running puppetserver makes way for the edge without failing a run: an agent never retries a
// refused connection, but TCP retries an unanswered one. So new connections are left unanswered
// while running ones end, puppetserver stops, and the edge takes the port. The kernel forgets the
// rule by itself after HOLD_S, so a setup that is killed locks nobody out.

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { exists, makeFolder, writeFileAtomic } from "../host/files.ts";
import { PATHS, PORTS } from "../host/paths.ts";
import { tryRun } from "../host/process.ts";
import { unit, unitState } from "../host/systemd.ts";

/** How long the kernel holds connections after setup's last sign of life. */
const HOLD_S = 15;
const RENEW_MS = 5000;
/**
 * How long running requests may take. puppetserver closes what is idle for 30 s; agents connect for
 * 120 s.
 */
export const DRAIN_MS_MAX = 45_000;
const LOOK_MS = 250;
const ASK_MS = 10_000;
/** The package's removal knows it too. */
export const TABLE = "inet understudy_setup";
/**
 * There while a setup that is not over keeps a puppetserver stopped that ran. A boot forgets it,
 * and starts what is enabled.
 */
export const STOPPED_MARK = join(PATHS.run, "puppetserver-stopped");

let renewal: NodeJS.Timeout | undefined;

/**
 * Stops `unitName` once its connections have ended; new ones wait until `letAgentsIn`. Where the
 * kernel can't hold connections, says so to `report` and stops it all the same.
 */
export async function stopPuppetserver(
  unitName: string,
  report: (detail: string) => void,
): Promise<void> {
  // One that is still starting would take the agents' port in the end.
  if (["inactive", "failed"].includes((await unitState(unitName)).active)) return;
  const problem = await hold();
  if (problem === undefined) {
    report("new connections of agents wait from now on");
    await drain();
  } else {
    report(`agents are refused until the edge is there: ${problem}`);
  }
  await makeFolder(PATHS.run);
  await writeFileAtomic(STOPPED_MARK, `${unitName}\n`);
  await unit("stop", unitName);
}

/** Whether setup has stopped a puppetserver that ran, and not started it again. */
export async function keepsItStopped(): Promise<boolean> {
  return exists(STOPPED_MARK);
}

/** Remembers that puppetserver runs again. */
export async function forgetStop(): Promise<void> {
  await rm(STOPPED_MARK, { force: true });
}

/** Lets the connections in that wait. Nothing held is no error. */
export async function letAgentsIn(): Promise<void> {
  clearInterval(renewal);
  renewal = undefined;
  await nft(`table ${TABLE} {}\ndelete table ${TABLE}\n`);
}

/** What kept the kernel from it; undefined when connections are held. */
export async function hold(): Promise<string | undefined> {
  const problem = await nft(renderHold(PORTS.edge));
  if (problem !== undefined) return problem;
  renewal ??= setInterval(() => void nft(renderRenewal(PORTS.edge)), RENEW_MS);
  renewal.unref();
  return undefined;
}

/** The nft script that leaves first packets to `port` unanswered. */
export function renderHold(port: number): string {
  return [
    `table ${TABLE} {}`,
    `delete table ${TABLE}`,
    `table ${TABLE} {`,
    "  set held { type inet_service; flags timeout; }",
    "  chain arriving {",
    "    type filter hook input priority -10; policy accept;",
    "    tcp dport @held tcp flags & (syn | ack) == syn drop",
    "  }",
    "}",
    `add element ${TABLE} held { ${port} timeout ${HOLD_S}s }`,
    "",
  ].join("\n");
}

function renderRenewal(port: number): string {
  return `flush set ${TABLE} held\nadd element ${TABLE} held { ${port} timeout ${HOLD_S}s }\n`;
}

/** Waits until nobody is connected to the agents' port, or `withinMs`. Returns whether that came. */
export async function drain(withinMs: number = DRAIN_MS_MAX): Promise<boolean> {
  const endMs = monotonicMs() + withinMs;
  const connected = [
    "ss",
    "-H",
    "-t",
    "-n",
    "state",
    "established",
    "sport",
    "=",
    `:${PORTS.edge}`,
  ];
  while (monotonicMs() < endMs) {
    const shown = await tryRun(connected, { withinMs: ASK_MS });
    if (shown.ok && shown.stdout.trim() === "") return true;
    await pause(LOOK_MS);
  }
  return false;
}

async function nft(script: string): Promise<string | undefined> {
  try {
    const done = await tryRun(["nft", "-f", "-"], { input: script, withinMs: ASK_MS });
    return done.ok ? undefined : (done.stderr.trim().split("\n")[0] ?? "nft failed");
  } catch (error) {
    return messageOf(error);
  }
}
