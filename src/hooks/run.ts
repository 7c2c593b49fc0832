// One hook, run once: the event on standard input, a time limit, what it says bounded. Under
// systemd it is a unit of its own (systemd-run), as a user of its own, with limits of its own, so
// that whatever it starts ends with it and it takes nothing from the daemon. Elsewhere it has a
// process group that is killed after it.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { messageOf } from "../base/fault.ts";
import { oneLine } from "../base/printable.ts";
import { pause } from "../base/retry.ts";
import type { Owner } from "../host/users.ts";

/** What is kept of what it says. */
const OUTPUT_BYTES_MAX = 4096;
const SAID_MAX = 200;
/** What it has said may arrive so long after its end. */
const PIPES_MS = 500;
/** After TERM. */
const KILL_AFTER_MS = 1000;
/** What systemd needs for a unit, besides the hook's own time. */
const UNIT_MS = 5000;

export interface HookOutcome {
  ok: boolean;
  /** Why not; empty: it ended with 0. */
  because: string;
  /** The end of what it said. */
  output: string;
  tookMs: number;
}

export interface HookRun {
  path: string;
  /** The name of the event, in its environment too. */
  event: string;
  /** The event as JSON. */
  input: string;
  withinMs: number;
}

/** Who runs it. `systemd`: the user's name; `process`: its ids, or ours where there are none. */
export type HookRunner =
  | { by: "systemd"; user: string }
  | { by: "process"; owner: Owner | undefined }
  | { by: "nobody"; because: string };

/** Runs it. Never throws. `atMs`: a monotonic clock. */
export async function runHook(
  run: HookRun,
  runner: HookRunner,
  atMs: () => number,
): Promise<HookOutcome> {
  if (runner.by === "nobody") return { ok: false, because: runner.because, output: "", tookMs: 0 };
  const beganMs = atMs();
  const argv = runner.by === "systemd" ? unitArgv(run, runner.user) : [run.path];
  const limitMs = run.withinMs + (runner.by === "systemd" ? UNIT_MS : 0);
  const end = await runGroup(
    argv,
    run,
    runner.by === "process" ? runner.owner : undefined,
    limitMs,
  );
  const output = oneLine(end.output.trim().slice(-SAID_MAX), SAID_MAX);
  const because = whyNot(end, run.withinMs, atMs() - beganMs);
  return { ok: because === "", because, output, tookMs: Math.round(atMs() - beganMs) };
}

interface End {
  code: number | null;
  timedOut: boolean;
  output: string;
  /** Why it couldn't be started; empty: it was. */
  unstarted: string;
}

function whyNot({ code, timedOut, unstarted }: End, withinMs: number, tookMs: number): string {
  if (unstarted !== "") return `it can't be started: ${unstarted}`;
  const limit = `it was killed after ${Math.round(withinMs / 1000)} s`;
  if (timedOut) return limit;
  if (code === 0) return "";
  // systemd-run tells of a limit as of any failure.
  if (tookMs >= withinMs) return limit;
  return code === null ? "a signal ended it" : `exit code ${code}`;
}

/** systemd's words for: this user, this long, nothing of it left behind, none of our secrets. */
export function unitArgv({ path, event, withinMs }: HookRun, user: string): string[] {
  const properties = [
    `User=${user}`,
    `RuntimeMaxSec=${Math.max(1, Math.ceil(withinMs / 1000))}`,
    "TimeoutStopSec=1",
    "KillMode=control-group",
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "ProtectSystem=full",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "InaccessiblePaths=-/var/lib/understudy",
    "RestrictSUIDSGID=yes",
    "TasksMax=64",
    "MemoryMax=256M",
    "CPUWeight=20",
    "UMask=0077",
  ];
  const unit = `understudy-hook-${randomBytes(6).toString("hex")}`;
  return [
    "systemd-run",
    "--quiet",
    "--collect",
    "--wait",
    "--pipe",
    `--unit=${unit}`,
    ...properties.map((each) => `--property=${each}`),
    "--service-type=exec",
    `--setenv=UNDERSTUDY_EVENT=${event}`,
    "--",
    path,
  ];
}

async function runGroup(
  [program = "", ...args]: readonly string[],
  { input, event }: HookRun,
  owner: Owner | undefined,
  limitMs: number,
): Promise<End> {
  let child: ChildProcessWithoutNullStreams;
  try {
    child = spawn(program, args, {
      cwd: "/",
      detached: true,
      env: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8", UNDERSTUDY_EVENT: event },
      ...(owner === undefined ? {} : { uid: owner.uid, gid: owner.gid }),
    });
  } catch (error) {
    return { code: null, timedOut: false, output: "", unstarted: messageOf(error) };
  }
  const output = keepEnd(child);
  const closed = new Promise((resolve) => child.once("close", resolve));
  let timedOut = false;
  let killer: NodeJS.Timeout | undefined;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child, "SIGTERM");
    killer = setTimeout(() => killGroup(child, "SIGKILL"), KILL_AFTER_MS);
  }, limitMs);
  // It may end before it has read all.
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", resolve);
    });
    // What it has left running goes with it, and with that its pipes.
    killGroup(child, "SIGKILL");
    await Promise.race([closed, pause(PIPES_MS)]);
    return { code, timedOut, output: output(), unstarted: "" };
  } catch (error) {
    return { code: null, timedOut, output: output(), unstarted: messageOf(error) };
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

function killGroup({ pid }: ChildProcessWithoutNullStreams, signal: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Nothing of it is left.
  }
}

/** Reads on whatever it says, so that it doesn't wait for us, and keeps the end. */
function keepEnd({ stdout, stderr }: ChildProcessWithoutNullStreams): () => string {
  let kept = Buffer.alloc(0);
  for (const stream of [stdout, stderr]) {
    stream.on("error", () => undefined);
    stream.on("data", (chunk: Buffer) => {
      kept = Buffer.concat([kept, chunk.subarray(-OUTPUT_BYTES_MAX)]).subarray(-OUTPUT_BYTES_MAX);
    });
  }
  return () => kept.toString("utf8");
}
