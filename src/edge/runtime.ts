// The running HAProxy, asked over its Unix sockets: the stats socket of the current worker, and the
// master's socket, which reaches every worker. One connection a question: HAProxy answers and
// closes. Danger: on the master's socket each command of a line needs its own worker prefix, and a
// command to a worker that has just gone is answered with nothing at all.

import { connect } from "node:net";
import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import { type EdgePaths, edgePaths } from "./config.ts";
import type { EdgeConfig } from "./config.ts";
import { type EdgeWorker, parseWorkers } from "./parse.ts";

const ASK_MS = 5000;
const LATE = { code: "ETIMEDOUT" };

/** The master's socket is away for a moment during each reload, a worker's never is. */
const MASTER_AWAY_MS_MAX = 10_000;

/** Both sockets refusing for so long means that HAProxy doesn't run. */
const GONE_MS = 1500;
const LOOK_AGAIN_MS = 50;

/** An answer is at most the whole list of revocations, some 50 bytes each. */
const ANSWER_BYTES_MAX = 256 * 1024 * 1024;

/**
 * Asks HAProxy at `socket` one line. Throws Fault `edge.unreachable` when nobody answers in time.
 */
export async function askSocket(socket: string, line: string, withinMs = ASK_MS): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const connection = connect(socket);
    const fail = (cause: unknown) => {
      connection.destroy();
      clearTimeout(timer);
      reject(new Fault("edge.unreachable", `HAProxy does not answer at ${socket}`, { cause }));
    };
    const late = () => fail(Object.assign(new Error(`no answer within ${withinMs} ms`), LATE));
    const timer = setTimeout(late, withinMs);
    connection.on("error", fail);
    connection.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) fail(new Error("the answer is too long"));
      else chunks.push(chunk);
    });
    connection.on("end", () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks).toString("utf8"));
    });
    connection.end(`${line}\n`);
  });
}

/** What the daemon asks of one edge's HAProxy. */
export interface EdgeRuntime {
  readonly paths: EdgePaths;
  /** Asks the current worker. */
  ask(line: string): Promise<string>;
  /** Asks the worker `pid`; several commands at once. Their answers come one after another. */
  askWorker(pid: number, commands: readonly string[]): Promise<string>;
  /**
   * The current worker and all former ones; none when HAProxy doesn't run. Throws Fault
   * `edge.unreachable` when it does, but its master doesn't answer.
   */
  workers(): Promise<EdgeWorker[]>;
  /** Makes the master load its configuration anew. Returns before the new worker is there. */
  reload(): Promise<void>;
}

/** The HAProxy whose sockets lie in the folders of `config`. Connects to nothing yet. */
export function edgeRuntime(config: Pick<EdgeConfig, "stateDir" | "runDir">): EdgeRuntime {
  const paths = edgePaths(config);
  return {
    paths,
    ask: async (line) => askSocket(paths.stats, line),
    async askWorker(pid, commands) {
      const line = commands.map((command) => `@!${pid} ${command}`).join(";");
      return askSocket(paths.master, line);
    },
    workers: async () => workersOf(paths),
    async reload() {
      await askSocket(paths.master, "reload");
    },
  };
}

async function workersOf(paths: EdgePaths): Promise<EdgeWorker[]> {
  const start = monotonicMs();
  let goneSince: number | undefined;
  for (;;) {
    try {
      return parseWorkers(await askSocket(paths.master, "show proc"));
    } catch (error) {
      if (!isRefused(error)) throw error;
      const refused = await askSocket(paths.stats, "show info").then(() => false, isRefused);
      goneSince = refused ? (goneSince ?? monotonicMs()) : undefined;
      if (goneSince !== undefined && monotonicMs() - goneSince > GONE_MS) return [];
      if (monotonicMs() - start > MASTER_AWAY_MS_MAX) throw error;
    }
    await pause(LOOK_AGAIN_MS);
  }
}

/** Whether nobody listens, rather than somebody who doesn't answer. */
function isRefused(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ECONNREFUSED";
}

/** Whether somebody listens, and doesn't answer. */
export function isSilent(error: unknown): boolean {
  return codeOf(error) === LATE.code;
}

function codeOf(error: unknown): unknown {
  const cause = error instanceof Fault ? error.cause : undefined;
  return cause instanceof Error && "code" in cause ? cause.code : undefined;
}
