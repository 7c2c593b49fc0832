// One round of observe, plan, apply for this server's edge. Whoever calls it decides when.

import { applyEdge, type ApplyOptions } from "./apply.ts";
import type { EdgeConfig } from "./config.ts";
import { digestInputs, type EdgeState, observeEdge } from "./observe.ts";
import { type EdgeAction, planEdge } from "./plan.ts";
import { edgeRuntime } from "./runtime.ts";
import { keepSpare } from "./spare.ts";

/** What one round found and did. `before` is as it was observed, before the actions. */
export interface EdgeRound {
  before: EdgeState;
  actions: EdgeAction[];
}

/**
 * Brings this server's edge to `desired`. It starts nothing: where HAProxy doesn't run, files are
 * written and `before.running` is false. Throws what applyEdge and digestInputs throw.
 */
export async function settleEdge(
  desired: EdgeConfig,
  options: ApplyOptions = {},
): Promise<EdgeRound> {
  const runtime = edgeRuntime(desired);
  const config = { ...desired, inputsDigest: await digestInputs(desired) };
  const before = await observeEdge(runtime);
  const actions = planEdge(config, before);
  for (const action of actions) await applyEdge(action, config, runtime, options);
  await keepSpare(runtime.paths.config);
  return { before, actions };
}
