// How far a spool has come towards one PuppetDB. Losing some of it is harmless: what was delivered
// already is delivered again, and PuppetDB takes a command twice as it takes it once.

import { type Range, Ranges } from "./ranges.ts";

/** As it is on disk. */
export interface ProgressText {
  /** All up to this number are done. */
  upTo: number;
  /** Done above it. */
  ahead: Range[];
}

export class Progress {
  #upTo: number;
  readonly #ahead: Ranges;

  constructor({ upTo, ahead }: ProgressText = { upTo: 0, ahead: [] }) {
    this.#upTo = upTo;
    this.#ahead = new Ranges(ahead);
  }

  get upTo(): number {
    return this.#upTo;
  }

  /** How many are done above `upTo`. */
  get aheadCount(): number {
    return this.#ahead.list().reduce((sum, [from, to]) => sum + to - from + 1, 0);
  }

  isDone(seq: number): boolean {
    return seq <= this.#upTo || this.#ahead.has(seq);
  }

  finish(seq: number): void {
    if (this.isDone(seq)) return;
    this.#ahead.add(seq);
    this.#advance(this.#ahead.endFrom(this.#upTo + 1));
  }

  /** Everything below `first` is gone from the spool, so nothing is left to do of it. */
  startAt(first: number): void {
    if (first - 1 > this.#upTo) this.#advance(this.#ahead.endFrom(first));
  }

  /** Whether anything from number `next` on counts as done. */
  isBeyond(next: number): boolean {
    return Math.max(this.#upTo, this.#ahead.list().at(-1)?.[1] ?? 0) >= next;
  }

  /** The spool ends before `next`, so nothing from there on is done: what was has gone. */
  endAt(next: number): void {
    this.#upTo = Math.min(this.#upTo, next - 1);
    this.#ahead.dropFrom(next);
  }

  text(): ProgressText {
    return { upTo: this.#upTo, ahead: this.#ahead.list() };
  }

  #advance(to: number): void {
    if (to <= this.#upTo) return;
    this.#upTo = to;
    this.#ahead.dropUpTo(to);
  }
}
