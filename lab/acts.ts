// What is being done to the hosts of a lab: boots, power cuts, cables. The idea: a lab is cleared
// only when nothing of it goes on any more. Danger: a boot amid the clearing leaves half a host.

import { Fault } from "../src/base/fault.ts";

export class Acts {
  readonly #ending = new AbortController();
  readonly #going = new Set<Promise<unknown>>();

  /**
   * Does `act`, which gives up when its signal aborts. Fault `lab.ending` once the lab is being
   * taken down.
   */
  async do<T>(act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#ending;
    if (signal.aborted) throw new Fault("lab.ending", "the lab is being taken down");
    const going = act(signal);
    this.#going.add(going);
    try {
      return await going;
    } finally {
      this.#going.delete(going);
    }
  }

  /** Lets no act begin any more, and returns when those that went on have given up or ended. */
  async end(): Promise<void> {
    this.#ending.abort();
    await Promise.allSettled(this.#going);
  }
}
