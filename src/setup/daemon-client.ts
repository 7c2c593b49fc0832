// How commands reach the daemon of this server: HTTP over its root-only Unix socket.

import { request } from "node:http";
import type { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { deadline } from "../base/retry.ts";
import { WireFault } from "../cluster/wire-fault.ts";
import { PATHS } from "../host/paths.ts";
import { ACTOR_HEADER, actorHeader } from "./actor.ts";

const CALL_MS = 30_000;

/**
 * Calls the daemon. Throws its Fault, or `cli.no-daemon` with what to do when it doesn't answer.
 */
export async function callDaemon<S extends z.ZodType>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  options: { answer: S; body?: unknown; withinMs?: number; signal?: AbortSignal },
): Promise<z.infer<S>> {
  const withinMs = options.withinMs ?? CALL_MS;
  const signal = deadline(withinMs, options.signal);
  let text: string;
  try {
    text = await send(method, path, options.body, signal);
  } catch (error) {
    // Whoever isn't a member needs another hint than "start the daemon". Loaded only now: a command
    // that gets its answer needs none of it.
    const { requireNodeFile } = await import("../cluster/node-file.ts");
    const { removedFault } = await import("./stand-down.ts");
    const node = await requireNodeFile();
    if (node.phase === "removed") throw removedFault(node);
    throw noAnswer(method, error, signal.aborted ? withinMs : undefined);
  }
  const json: unknown = JSON.parse(text);
  const fault = WireFault.safeParse(json);
  if (fault.success) {
    const { code, message, hints } = fault.data.error;
    throw new Fault(code, message, { hints });
  }
  return options.answer.parse(json);
}

/** What a socket says that nobody listens at: nothing was sent. */
const NOT_SENT = ["ENOENT", "ECONNREFUSED", "EACCES"];

/**
 * What no answer means; `waitedMs` where it didn't come in time. A daemon that dies or hangs with a
 * change may have made it.
 */
export function noAnswer(method: string, error: unknown, waitedMs: number | undefined): Fault {
  const why =
    waitedMs === undefined
      ? messageOf(error)
      : `it runs, but hasn't answered within ${waitedMs / 1000} s: it works on, is stopped, or hangs`;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const isOpen = method !== "GET" && !NOT_SENT.includes(code);
  return new Fault("cli.no-daemon", `the daemon of this server can't be asked: ${why}`, {
    hints: [
      ...(isOpen
        ? ["What was to be changed may have been, or may yet be. Look before you repeat it."]
        : []),
      "Agents are served without it. Look: systemctl status understudy; journalctl -u understudy",
      "Run the command as root, or on another server of the cluster.",
    ],
    cause: error,
  });
}

async function send(
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<string> {
  const actor = method === "GET" ? {} : { [ACTOR_HEADER]: await actorHeader() };
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", ...actor };
    const outgoing = request({ socketPath: PATHS.apiSocket, method, path, headers, signal });
    outgoing.on("error", reject);
    outgoing.on("response", (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => resolve(Buffer.concat(chunks).toString()));
    });
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
