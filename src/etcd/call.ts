// A request to whichever member answers. The idea: reads, and writes of which nothing was sent, go
// on to the next member at once, round after round until the deadline, which outlasts an election.
// Danger: a write that was sent but not answered may have happened, so it is handed back as
// `unknown`.

import { Fault } from "../base/fault.ts";
import { pause } from "../base/retry.ts";
import { monotonicMs } from "../host/clock.ts";
import type { Outcome, Transport } from "./attempt.ts";
import { diagnose } from "./diagnose.ts";
import type { Endpoints } from "./endpoints.ts";
import { isLearnerRefusal, judgeError } from "./judge.ts";
import type { CallOptions } from "./types.ts";
import type { Json } from "./wire.ts";

export const WITHIN_MS_DEFAULT = 5000;
const ROUND_PAUSE_MS = 100;
const ROUND_PAUSE_MS_MAX = 400;

export interface Request {
  path: string;
  body: Json;
  /** Whether asking twice is harmless. */
  repeatable: boolean;
  /** Only this member can answer. */
  endpoint?: string;
  /** Longest silence of a member; default the client's `attemptMs`. */
  silenceMs?: number;
}

export type CallResult =
  | { got: "answer"; body: unknown; endpoint: string }
  /** It was sent once and not answered: it may have happened, or may yet happen. */
  | { got: "unknown"; why: string };

export interface Client {
  endpoints: Endpoints;
  transport(): Transport;
  attemptMs: number;
}

/**
 * Makes the request. Throws Fault `etcd.unreachable`, `etcd.no-quorum`, `etcd.tls`, `etcd.refused`,
 * `etcd.no-space`, `etcd.compacted` or `etcd.aborted`.
 */
export async function call(
  client: Client,
  request: Request,
  options: CallOptions = {},
): Promise<CallResult> {
  const withinMs = options.withinMs ?? WITHIN_MS_DEFAULT;
  const end = monotonicMs() + withinMs;
  const reasons = new Map<string, Extract<Step, { do: "next" }>>();
  for (let round = 0; ; round += 1) {
    const targets = request.endpoint === undefined ? client.endpoints.order() : [request.endpoint];
    for (const endpoint of targets) {
      const leftMs = Math.ceil(end - monotonicMs());
      if (options.signal?.aborted === true) throw aborted(options.signal);
      if (leftMs <= 0) break;
      const connectMs = Math.min(client.attemptMs, leftMs);
      const silenceMs = Math.min(request.silenceMs ?? client.attemptMs, leftMs);
      const { path, body } = request;
      const { signal } = options;
      const outcome = await client
        .transport()
        .attempt({ endpoint, path, body, connectMs, silenceMs, signal });
      if (outcome.got === "nothing" && signal?.aborted === true) {
        if (!outcome.sent || request.repeatable) throw aborted(signal);
        return { got: "unknown", why: `${endpoint}: given up before the answer came` };
      }
      const step = judge(outcome, request.repeatable);
      if (isRepresentative(request)) note(client.endpoints, endpoint, step);
      if (step.do === "return") return { got: "answer", body: step.body, endpoint };
      if (step.do === "throw") throw step.fault;
      if (step.do === "unknown") return { got: "unknown", why: `${endpoint}: ${step.why}` };
      reasons.set(endpoint, step);
    }
    // Twice, because a member that is just being stopped may look as if it refused us.
    const hopeless = round > 0 && targets.every((endpoint) => reasons.get(endpoint)?.tls === true);
    const pauseMs = Math.min(ROUND_PAUSE_MS * (round + 1), ROUND_PAUSE_MS_MAX);
    if (hopeless || monotonicMs() + pauseMs >= end) {
      throw await diagnose(client, targets, new Map(toWords(reasons)), hopeless, withinMs);
    }
    await pause(pauseMs, options.signal);
  }
}

/** Like call, for what may be asked twice: there is always an answer or a Fault. */
export async function ask(
  client: Client,
  request: Omit<Request, "repeatable">,
  options: CallOptions = {},
): Promise<{ body: unknown; endpoint: string }> {
  const result = await call(client, { ...request, repeatable: true }, options);
  if (result.got === "answer") return result;
  throw new Fault("etcd.no-quorum", `no answer from etcd: ${result.why}`);
}

type Step =
  | { do: "return"; body: unknown }
  | { do: "throw"; fault: Fault }
  | { do: "unknown"; why: string }
  | { do: "next"; why: string; tls: boolean; unwell: boolean };

/** What an attempt's outcome means for the call. */
function judge(outcome: Outcome, repeatable: boolean): Step {
  if (outcome.got === "answer") return { do: "return", body: outcome.body };
  if (outcome.got === "nothing") {
    if (outcome.sent && !repeatable) return { do: "unknown", why: outcome.why };
    return { do: "next", why: outcome.why, tls: outcome.tls, unwell: true };
  }
  const verdict = judgeError(outcome.code, outcome.message);
  if (verdict.means === "refused") return { do: "throw", fault: verdict.fault };
  if (verdict.means === "unknown" && !repeatable) return { do: "unknown", why: outcome.message };
  const unwell = !isLearnerRefusal(outcome.message);
  return { do: "next", why: outcome.message, tls: false, unwell };
}

/** Whether this request's fate says how well a member serves the others. */
function isRepresentative(request: Request): boolean {
  return request.endpoint === undefined && request.body["serializable"] !== true;
}

function note(endpoints: Endpoints, endpoint: string, step: Step): void {
  if (step.do === "return") endpoints.worked(endpoint);
  if (step.do === "unknown" || (step.do === "next" && step.unwell)) {
    endpoints.failed(endpoint, step.why);
  }
}

function toWords(reasons: Map<string, { why: string }>): [string, string][] {
  return [...reasons].map(([endpoint, { why }]) => [endpoint, why]);
}

function aborted(signal: AbortSignal): Fault {
  return new Fault("etcd.aborted", "the request to etcd was given up by its caller", {
    cause: signal.reason,
  });
}
