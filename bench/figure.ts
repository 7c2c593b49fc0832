// One line of a bench's result: a measured value, the baseline's beside it, and whether the goal is
// met. Pure.

/** What a value has to be. */
export type Goal = { atMost: number } | { under: number } | { atLeast: number };

/** A figure as out/bench/NAME.json has it. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  /** The same of the baseline, measured in the same run; null when it has none. */
  baseline: number | null;
  /** value / baseline; null without a baseline, or with one of 0. */
  ratio: number | null;
  /** In words, as in "under 0.6"; null when the figure stands beside others and has none. */
  goal: string | null;
  /** Null also when too few trials were made for the goal. */
  met: boolean | null;
}

/**
 * Makes a figure and judges it. `judged` is what is held against the goal when it isn't the value
 * itself.
 */
export function figure(
  name: string,
  value: number,
  unit: string,
  options: { baseline?: number | undefined; goal?: Goal; judged?: number } = {},
): Figure {
  const { baseline, goal, judged = value } = options;
  const ratio = baseline === undefined || baseline === 0 ? null : round(value / baseline);
  return {
    name,
    value: round(value),
    unit,
    baseline: baseline === undefined ? null : round(baseline),
    ratio,
    goal: goal === undefined ? null : describeGoal(goal),
    met: goal === undefined ? null : isMet(judged, goal),
  };
}

function describeGoal(goal: Goal): string {
  if ("atMost" in goal) return goal.atMost === 0 ? "0" : `at most ${goal.atMost}`;
  if ("under" in goal) return `under ${goal.under}`;
  return `at least ${goal.atLeast}`;
}

function isMet(value: number, goal: Goal): boolean {
  if ("atMost" in goal) return value <= goal.atMost;
  if ("under" in goal) return value < goal.under;
  return value >= goal.atLeast;
}

/** Four significant digits: more would pretend. */
function round(value: number): number {
  return Number(value.toPrecision(4));
}
