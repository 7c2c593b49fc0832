// understudy drain, undrain: no new work for a server, and back.

import type { Command } from "commander";
import { parseDuration } from "../base/duration.ts";
import { Fault, isFault } from "../base/fault.ts";
import { parseLocalTime, renderLocalTime } from "../base/local-time.ts";
import { pause } from "../base/retry.ts";
import { isoTime, monotonicMs, wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { renderDrainPlan } from "../setup/drain-plan.ts";
import {
  DrainAnswer,
  DrainPlan,
  DrainProgress,
  type HandedOver,
  MemberName,
  Reason,
} from "../setup/work-contract.ts";
import { check } from "./options.ts";
import { createOutput, EXIT, type Output } from "./output.ts";
import { untilInterrupted } from "./interrupted.ts";

const LOOK_MS = 1000;
const ASK_MS = 15_000;
/** This server's daemon, or etcd, may be away for a while: the drain is in force all the same. */
const AWAY_MS = 60_000;
/** What no later look would change. */
const FINAL = ["cluster.not-a-member", "member.removed", "member.not-found"];
const UNKNOWN = {
  drained: false,
  left: ["this server's daemon can't tell what still runs there"],
  silent: [],
};
/** Longer than a switchover takes. */
const DRAIN_MS = 180_000;
const DURATION_S_MAX = 366 * 86_400;

interface Flags {
  reason?: string;
  for?: string;
  until?: string;
  wait: string | false;
  force?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

export function addDrain(program: Command): void {
  program
    .command("drain")
    .argument("<server>", "its name, or the first label of it")
    .description("give a server no new work: its requests end, its virtual IPs go to others")
    .option("--reason <text>", "why, for those who read status")
    .option("--for <duration>", "end it by itself after this, as in 2h")
    .option("--until <time>", "end it by itself then, as in 15:00 or 2026-12-01 15:00")
    .option("--wait <duration>", "how long to wait until nothing runs there any more", "15m")
    .option("--no-wait", "return at once")
    .option(
      "--force",
      "also when no other server is ready to take the agents, or connections break",
    )
    .option("--dry-run", "say what it would mean, change nothing")
    .option("--json", "print JSON")
    .addHelpText("after", HELP)
    .action(drain);
  program
    .command("undrain")
    .argument("<server>", "its name, or the first label of it")
    .description("give a drained server work again")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\n  understudy undrain s3\n\nExit code: 0 it isn't drained, 1 refused or failed.",
    )
    .action(undrain);
}

const HELP = `
Example: understudy drain s3 --reason "kernel update" --for 2h

Every edge sends its puppetservers nothing new, its virtual IPs go to other servers, queries to another PuppetDB. It
stops nothing: its edge, its CA and its courier go on, and agents that come to it are served. When no other
puppetserver is up, it is asked all the same. It holds through a reboot of that server and without the daemons, until
"understudy undrain" or its end. Said again, it takes the new reason and the new end.

Exit code: 0 it is drained; 1 refused or failed; 3 the drain is in force, but something still runs there, or this
server's daemon can't tell.`;

async function drain(name: string, flags: Flags): Promise<void> {
  const output = createOutput(flags.json === true);
  const nowMs = wallMs();
  const wish = {
    name: check(MemberName, "server", name),
    reason: check(Reason, "--reason", flags.reason ?? ""),
    until: endOf(flags, nowMs),
  };
  const waitMs = flags.wait === false ? 0 : parseDuration(flags.wait) * 1000;
  if (flags.dryRun === true) {
    const plan = await callDaemon("GET", `${pathOf(name)}/plan`, { answer: DrainPlan });
    output.result(plan, renderDrainPlan(plan));
    if (plan.refused !== "" && flags.force !== true) process.exitCode = EXIT.failed;
    return;
  }
  const body = { ...wish, force: flags.force === true };
  const options = { body, answer: DrainAnswer, withinMs: DRAIN_MS };
  const said = await callDaemon("POST", "/v1/drains", options);
  const { id } = said;
  if (said.handedOver !== undefined) output.progress(renderHandedOver(said.handedOver));
  const undo = `Undo: understudy undrain ${name}`;
  output.progress(`${id} gets nothing new${describeEnd(wish.until, nowMs)}. ${undo}`);
  const look = async () => lookAt(id);
  const progress = waitMs === 0 ? await look() : await waitForDrain(look, output, { waitMs });
  const { drained, left, silent } = progress ?? UNKNOWN;
  const lines = drained
    ? [`${id} is drained: nothing of agents' runs there. ${undo}`]
    : [`${id} is being drained, and stays so: ${left.join("; ")}. ${undo}`];
  for (const each of silent) {
    lines.push(`! ${each} doesn't answer: what its edge does can't be told.`);
  }
  output.result({ ...said, ...(progress ?? UNKNOWN) }, lines.join("\n"));
  const isSo = drained || (waitMs === 0 && progress !== undefined);
  process.exitCode = isSo ? EXIT.ok : EXIT.unconfirmed;
}

async function undrain(name: string, flags: { json?: boolean }): Promise<void> {
  const output = createOutput(flags.json === true);
  const path = pathOf(check(MemberName, "server", name));
  const said = await callDaemon("DELETE", path, { answer: DrainAnswer });
  const text =
    said.drain === undefined
      ? `${said.id} wasn't drained.`
      : `${said.id} takes work again. It takes an address when another server gives it up.`;
  output.result({ id: said.id, was: said.drain ?? null }, text);
}

/** When the drain ends by itself, from --for or --until. Throws Fault `cli.option`. */
export function endOf(flags: Pick<Flags, "for" | "until">, nowMs: number): string | undefined {
  if (flags.for !== undefined && flags.until !== undefined) {
    throw new Fault("cli.option", "--for and --until say the same: give one of them");
  }
  if (flags.until !== undefined) return isoTime(parseLocalTime(flags.until, nowMs));
  if (flags.for === undefined) return undefined;
  const seconds = parseDuration(flags.for);
  if (seconds < 60 || seconds > DURATION_S_MAX) {
    throw new Fault("cli.option", `--for "${flags.for}": between 1m and 366d`);
  }
  return isoTime(nowMs + seconds * 1000);
}

/** What became of its addresses, for people. */
export function renderHandedOver({ to, addresses, connections, breaks }: HandedOver): string {
  const names = addresses.join(" and ");
  if (breaks !== "") return `! ${names}: open connections break as it moves: ${breaks}`;
  return connections === 0
    ? ` ✓ ${to} holds ${names}; nobody was connected`
    : ` ✓ ${to} holds ${names}; open connections go on: ${connections}`;
}

function describeEnd(until: string | undefined, nowMs: number): string {
  return until === undefined ? "" : ` until ${renderLocalTime(Date.parse(until), nowMs)}`;
}

/** How far it is; undefined while this server's daemon can't tell. */
async function lookAt(name: string): Promise<DrainProgress | undefined> {
  const options = { answer: DrainProgress, withinMs: ASK_MS };
  return callDaemon("GET", pathOf(name), options).catch((error: unknown) => {
    if (FINAL.some((code) => isFault(error, code))) throw error;
    return undefined;
  });
}

function pathOf(name: string): string {
  return `/v1/drains/${encodeURIComponent(name)}`;
}

/**
 * Waits until nothing runs there, `waitMs` have passed or somebody interrupts it. Undefined: the
 * daemon hasn't told for longer than one restarts.
 */
export async function waitForDrain(
  look: () => Promise<DrainProgress | undefined>,
  output: Pick<Output, "progress">,
  { waitMs, awayMs = AWAY_MS }: { waitMs: number; awayMs?: number },
): Promise<DrainProgress | undefined> {
  const interrupted = untilInterrupted();
  const endMs = monotonicMs() + waitMs;
  let heardMs = monotonicMs();
  let said = "";
  let last: DrainProgress | undefined;
  for (;;) {
    const progress = await look();
    if (progress !== undefined) heardMs = monotonicMs();
    else if (monotonicMs() - heardMs > awayMs) return undefined;
    last = progress ?? last;
    if (progress?.drained === true || monotonicMs() >= endMs) return progress;
    if (interrupted.aborted) {
      output.progress("interrupted: the drain stays in force");
      return last;
    }
    const line = (progress ?? UNKNOWN).left.join("; ");
    if (line !== said) output.progress(`   … ${line}`);
    said = line;
    await pause(LOOK_MS, interrupted);
  }
}
