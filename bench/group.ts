// A group of figures that are measured together: first on the baseline, then on Understudy.

import type { Figure } from "./figure.ts";
import type { Site } from "./site.ts";

export interface Measuring {
  /** How many trials to make. */
  trials: number;
  say: (line: string) => void;
}

export interface Group {
  name: string;
  /** One line for --help. */
  about: string;
  /** Trials on Understudy, and on the baseline; 0: nothing is measured there. */
  trials: { full: number; quick: number; baseline: number };
  /** Measures one site and keeps what it saw. */
  measure(site: Site, measuring: Measuring): Promise<void>;
  /** What was seen, judged. Empty when Understudy wasn't measured. */
  figures(): Figure[];
  /** Every single trial, for the file beside the report. */
  raw(): unknown;
}

/** What a group saw on each site. */
export type Seen<T> = Partial<Record<Site["kind"], T>>;

/** The trials, or undefined when none was made: a measurement that failed has no figures. */
export function filled<T>(trials: readonly T[] | undefined): readonly T[] | undefined {
  return trials === undefined || trials.length === 0 ? undefined : trials;
}
