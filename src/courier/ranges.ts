// A set of whole numbers that mostly follow one another, kept as ranges: what was delivered of a
// spool, or what is held of another courier's.

/** From and to, both in it. */
export type Range = readonly [from: number, to: number];

export class Ranges {
  /** In order, with gaps between them. */
  #ranges: [number, number][];

  /** `ranges` as `list` gave them. */
  constructor(ranges: readonly Range[] = []) {
    this.#ranges = ranges.map(([from, to]) => [from, to]);
  }

  has(value: number): boolean {
    const range = this.#ranges[this.#at(value)];
    return range !== undefined && value <= range[1];
  }

  add(value: number): void {
    const at = this.#at(value);
    const before = this.#ranges[at];
    if (before !== undefined && value <= before[1]) return;
    const after = this.#ranges[at + 1];
    const joinsBefore = before?.[1] === value - 1;
    const joinsAfter = after?.[0] === value + 1;
    if (joinsBefore && joinsAfter) {
      before[1] = after[1];
      this.#ranges.splice(at + 1, 1);
    } else if (joinsBefore) before[1] = value;
    else if (joinsAfter) after[0] = value;
    else this.#ranges.splice(at + 1, 0, [value, value]);
  }

  /** Takes out every number up to `value`. */
  dropUpTo(value: number): void {
    this.#ranges = this.#ranges.flatMap(([from, to]): [number, number][] =>
      to <= value ? [] : [[Math.max(from, value + 1), to]],
    );
  }

  /** Takes out every number from `value` on. */
  dropFrom(value: number): void {
    this.#ranges = this.#ranges.flatMap(([from, to]): [number, number][] =>
      from >= value ? [] : [[from, Math.min(to, value - 1)]],
    );
  }

  /** The end of the range that begins at or before `from` and has it; `from - 1` without one. */
  endFrom(from: number): number {
    const range = this.#ranges[this.#at(from)];
    return range !== undefined && from <= range[1] ? range[1] : from - 1;
  }

  list(): Range[] {
    return this.#ranges.map(([from, to]) => [from, to]);
  }

  /** The index of the last range that begins at or before `value`; -1 when none does. */
  #at(value: number): number {
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.[0] ?? Infinity) <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}
