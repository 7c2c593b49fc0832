// Shows what is done to one server after another until it ends. It goes on without whoever watches.

import { Fault, isFault, messageOf } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import type { Roll } from "../cluster/work.ts";
import { monotonicMs, wallMs } from "../host/clock.ts";
import { callDaemon } from "../setup/daemon-client.ts";
import { describeEnd, tellRoll } from "../setup/roll-plan.ts";
import { RollAnswer, type RollStarted } from "../setup/work-contract.ts";
import { EXIT, type Output } from "./output.ts";

const LOOK_MS = 1000;
const ASK_MS = 15_000;
/** This server's daemon, or etcd, may be away for a while: the roll goes on all the same. */
const AWAY_MS = 60_000;

/** Follows it to its end and sets the exit code. Throws Fault `roll.halted`. */
export async function showRoll(started: RollStarted, output: Output): Promise<void> {
  if (started.already) {
    const { by: whose, ids } = started.roll;
    output.progress(`One is under way already, for ${whose}: ${ids.join(", ")}. This is that one.`);
  }
  const { roll, left } = await watch(started.roll, output);
  const lines = left === "" ? describeEnd(roll) : [left];
  if (roll.end?.how === "halted" && left === "") {
    throw new Fault("roll.halted", lines[0] ?? "it halted", { hints: lines.slice(1) });
  }
  output.result({ ...roll, left: left !== "" }, lines.join("\n"));
  process.exitCode = roll.end?.how === "done" ? EXIT.ok : EXIT.unconfirmed;
}

/** Follows the roll to its end. `left`: what is said when it goes on without this command. */
async function watch(first: Roll, output: Output): Promise<{ roll: Roll; left: string }> {
  const asked = createAsked();
  let roll = first;
  let before: Roll | undefined;
  let stopping = false;
  let alone = false;
  let heardMs = monotonicMs();
  for (;;) {
    for (const line of tellRoll(before, roll)) output.progress(line);
    before = roll;
    if (!alone && roll.end === undefined && Date.parse(roll.until) < wallMs() - AWAY_MS) {
      output.progress("! nobody drives it now. Is there a leader? understudy status");
      alone = true;
    }
    if (roll.end !== undefined) return { roll, left: "" };
    if (asked.toLeave()) return { roll, left: `It goes on without this command: ${SEE}` };
    if (asked.toStop() && !stopping) stopping = await stop(output);
    await pause(LOOK_MS, asked.signal());
    const found = await lookForRoll();
    if (found !== undefined) heardMs = monotonicMs();
    // Another one began since: this one is over, and what became of it is forgotten.
    if (found !== undefined && found.key !== roll.key) return { roll, left: `It is over: ${SEE}` };
    roll = found ?? roll;
    if (monotonicMs() - heardMs > AWAY_MS) {
      return { roll, left: `This server's daemon can't tell how it goes on: ${SEE}` };
    }
  }
}

/** Has it end after the server under way. False where that can't be said now. */
async function stop(output: Output): Promise<boolean> {
  try {
    await callDaemon("DELETE", "/v1/roll", { answer: RollAnswer });
    output.progress("   … it ends when the server under way is back; once more leaves it alone");
    return true;
  } catch (error) {
    output.progress(`   … it can't be stopped now, tried again: ${messageOf(error)}`);
    return false;
  }
}

const SEE = "understudy status shows it, on any server";

/** The newest roll; undefined while it can't be read. */
export async function lookForRoll(): Promise<Roll | undefined> {
  return callDaemon("GET", "/v1/roll", { answer: RollAnswer, withinMs: ASK_MS }).then(
    ({ roll }) => roll,
    (error: unknown) => {
      if (isFault(error, "cluster.not-a-member") || isFault(error, "member.removed")) throw error;
      return undefined;
    },
  );
}

/** The first Ctrl-C stops, the second leaves; a lost terminal leaves at once. */
function createAsked() {
  let times = 0;
  let gone = false;
  let nudge = new AbortController();
  const hear = (name: "SIGINT" | "SIGTERM" | "SIGHUP") => {
    process.on(name, () => {
      if (name === "SIGHUP") gone = true;
      times += 1;
      nudge.abort();
      nudge = new AbortController();
    });
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) hear(name);
  return {
    toStop: () => times > 0 && !gone,
    toLeave: () => gone || times > 1,
    signal: () => nudge.signal,
  };
}
