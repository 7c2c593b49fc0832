// Chance that is the same again for the same seed: what fails can be played once more.

export interface Random {
  /** 0 up to and without 1. */
  next(): number;
  /** One of `items`, which must not be empty. */
  pick<T>(items: readonly T[]): T;
}

/** A linear congruential generator with Knuth's MMIX constants; its upper bits are good enough. */
export function createRandom(seed: number): Random {
  let state = BigInt.asUintN(64, BigInt(Math.trunc(seed)));
  const next = () => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n) / 2 ** 32;
  };
  return {
    next,
    pick: (items) => {
      const item = items[Math.floor(next() * items.length)];
      if (item === undefined) throw new RangeError("nothing to pick from");
      return item;
    },
  };
}
