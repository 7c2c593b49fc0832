// Running other programs: argv only, never a shell line; always a deadline and an output limit.
// A program that overruns its deadline gets TERM, then KILL. Danger: what it started may outlive it
// with its pipes in hand, so its own end counts, not that of the pipes.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { Fault } from "../base/fault.ts";

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const KILL_AFTER_MS = 2000;
/** What a program said may arrive so long after its end, while a child of its own holds the pipes. */
const PIPES_MS = 500;

export interface RunOptions {
  /** Milliseconds until TERM. Default 30,000. */
  withinMs?: number;
  input?: string | Buffer;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

export interface RunResult {
  /** Exit code; null when a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
  timedOut: boolean;
  ok: boolean;
}

/**
 * Runs `argv` to its end and returns what came of it. Throws Fault `host.not-started` only when it
 * can't start.
 */
export async function tryRun(
  argv: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const [program, ...args] = argv;
  if (program === undefined) throw new Fault("host.not-started", "an empty command line");
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    // Away from the terminal: of Ctrl-C, and of its own end, that tells all programs in it.
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const out = collect(child.stdout);
  const err = collect(child.stderr);
  let timedOut = false;
  const stop = () => {
    timedOut = true;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS).unref();
  };
  const timer = setTimeout(stop, options.withinMs ?? 30_000);
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted === true) stop();
  // A program may end before it has read its input; its exit code says what came of that.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  try {
    const code = await endOf(child);
    return { code, stdout: out(), stderr: err(), timedOut, ok: code === 0 && !timedOut };
  } catch (error) {
    throw new Fault("host.not-started", `${program} can't be started`, { cause: error });
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
  }
}

/** Waits for the program's end, and for its output a little longer. Returns the exit code. */
async function endOf(child: ChildProcessWithoutNullStreams): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
    child.once("exit", (code) => {
      const letGo = () => {
        child.stdout.destroy();
        child.stderr.destroy();
        resolve(code);
      };
      setTimeout(letGo, PIPES_MS).unref();
    });
  });
}

/**
 * Like tryRun, but anything but exit code 0 is Fault `host.command-failed`. Returns standard
 * output.
 */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await tryRun(argv, options);
  if (result.ok) return result.stdout;
  const outcome = result.timedOut ? "timed out" : `exit code ${result.code ?? "none (signal)"}`;
  const said = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-5).join("\n  ");
  throw new Fault("host.command-failed", `${argv.join(" ")}: ${outcome}${said && `\n  ${said}`}`);
}

/** Gathers what a stream says, 64 MiB at most; the function gives it as text. */
export function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= OUTPUT_BYTES_MAX) chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString("utf8");
}
