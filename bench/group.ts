// A group of figures that are measured together: first on the baseline, then on Understudy.

import type { Figure } from "./figure.ts";
import type { BareSite, Site } from "./site.ts";

export interface Measuring {
  /** How many trials to make. */
  trials: number;
  say: (line: string) => void;
}

export interface Group<S extends BareSite = Site> {
  name: string;
  /** One line for --help. */
  about: string;
  /** Trials on Understudy (`full`: what the goals ask for), and on the baseline (0: none). */
  trials: { full: number; quick: number; baseline: number };
  /** Measures one site and keeps what it saw. */
  measure(site: S, measuring: Measuring): Promise<void>;
  /** How many trials were really made on Understudy. */
  made(): number;
  /** What was seen, judged. Empty when Understudy wasn't measured. */
  figures(): Figure[];
  /** Every single trial, for the file beside the report. */
  raw(): unknown;
}

/** What a group saw on each site. */
export type Seen<T> = Partial<Record<BareSite["kind"], T>>;

/**
 * Makes trials on a site one after the other. `make` hands each to `keep` as soon as it is there,
 * so that it stays when something fails later.
 */
export async function makeTrials<T>(
  seen: Seen<T[]>,
  site: BareSite,
  measuring: Measuring,
  make: (number: number, keep: (trial: T) => void) => Promise<void>,
): Promise<void> {
  const trials: T[] = [];
  seen[site.kind] = trials;
  for (let number = 1; number <= measuring.trials; number += 1) {
    await make(number, (trial) => void trials.push(trial));
  }
}

/** The group's figures, whose goals are judged only when enough trials were made for that. */
export function judgedFigures(group: Group<BareSite>): Figure[] {
  const enough = group.made() >= group.trials.full;
  return group.figures().map((figure) => (enough ? figure : { ...figure, met: null }));
}

/** The trials, or undefined when none was made: a measurement that failed has no figures. */
export function filled<T>(trials: readonly T[] | undefined): readonly T[] | undefined {
  return trials === undefined || trials.length === 0 ? undefined : trials;
}
