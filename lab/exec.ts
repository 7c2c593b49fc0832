// Commands inside a host: nsenter into the namespaces of its PID 1. They end with the host, since
// its PID namespace does. Danger: ending nsenter alone would leave the command running in there,
// so it is always the whole tree below nsenter that gets a signal.

import { spawn } from "node:child_process";
import { monotonicMs } from "../src/host/clock.ts";
import { collect } from "../src/host/process.ts";
import { childrenOf, signalProcess, signalTree } from "./process-tree.ts";

/** Limit of a command that has none of its own. */
export const COMMAND_MS_MAX = 120_000;
/**
 * An ended program's pipes may be held by a daemon it left behind; its output is complete by then.
 */
const PIPES_MS_MAX = 500;
const COLLECT_MS = 100;

export interface ExecOptions {
  /**
   * Milliseconds until the command and its children are killed. Default 120,000; Infinity in
   * `start`.
   */
  withinMs?: number;
  input?: string | Buffer;
  /** Added to a clean environment (PATH, HOME, LANG). */
  env?: Record<string, string>;
  /** Kills the command and its children when it aborts. */
  signal?: AbortSignal;
}

export interface ExecResult {
  /** Exit code; null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
  /** Exit code 0 and not timed out. */
  ok: boolean;
  /** Milliseconds from start to end. */
  ms: number;
}

/** A command that is running in a host. */
export interface Running {
  /** Number of its nsenter on this machine. */
  pid: number;
  /** Resolves when it has ended, never rejects for what it did. */
  done: Promise<ExecResult>;
  /** What it has written so far. */
  output(): { stdout: string; stderr: string };
  /** Signals it and everything it started. Default SIGKILL. */
  kill(signal?: NodeJS.Signals): void;
}

const ENVIRONMENT: Record<string, string> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/root",
  LANG: "C.UTF-8",
  TERM: "dumb",
};

/**
 * The command line that runs `command` (a script for bash, or argv) in the host whose PID 1 is
 * `init`.
 */
export function enterArgs(
  init: number,
  command: string | readonly string[],
  env: Record<string, string> = {},
): string[] {
  const argv = typeof command === "string" ? ["bash", "-c", command] : command;
  const settings = Object.entries({ ...ENVIRONMENT, ...env }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const namespaces = ["-m", "-u", "-i", "-n", "-p"];
  return ["nsenter", "-t", `${init}`, ...namespaces, "--", "env", "-i", ...settings, ...argv];
}

/** Starts any command line of this machine with the life-cycle of `Running`. */
export function start(argv: readonly string[], options: ExecOptions = {}): Running {
  const [program = "", ...args] = argv;
  const begun = monotonicMs();
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  let timedOut = false;
  const kill = (signal: NodeJS.Signals = "SIGKILL") => {
    const { pid } = child;
    const running = () => child.exitCode === null && child.signalCode === null;
    if (pid === undefined || !running()) return;
    const below = childrenOf(pid);
    for (const one of below) signalTree(one, signal);
    // nsenter ends by itself once it has collected what it started; ended first, it would leave a
    // zombie.
    const rest = () => running() && signalProcess(pid, signal);
    if (below.length === 0) rest();
    else setTimeout(rest, COLLECT_MS).unref();
  };
  const done = new Promise<ExecResult>((resolve, reject) => {
    const withinMs = options.withinMs ?? Infinity;
    const overrun = () => {
      timedOut = true;
      kill();
    };
    const timer = Number.isFinite(withinMs) ? setTimeout(overrun, withinMs) : undefined;
    const abort = () => kill();
    options.signal?.addEventListener("abort", abort, { once: true });
    if (options.signal?.aborted === true) abort();
    const finish = (code: number | null) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", abort);
      const ms = monotonicMs() - begun;
      const ok = code === 0 && !timedOut;
      resolve({ code, stdout: stdout(), stderr: stderr(), timedOut, ok, ms });
    };
    child.once("error", reject);
    child.once("close", finish);
    child.once("exit", (code) => setTimeout(finish, PIPES_MS_MAX, code).unref());
  });
  return {
    pid: child.pid ?? -1,
    done,
    output: () => ({ stdout: stdout(), stderr: stderr() }),
    kill,
  };
}

/** Runs a command line of this machine to its end. */
export async function runToEnd(
  argv: readonly string[],
  options: ExecOptions = {},
): Promise<ExecResult> {
  return start(argv, { withinMs: COMMAND_MS_MAX, ...options }).done;
}
