// Being told to end (^C, TERM) while a lab is up: one way for every program that has one. Whoever
// opened the lab takes it down; whatever else was going on is left to itself.

import { Fault, isFault, renderFault } from "../src/base/fault.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** The exit code that shells give a program that ^C ended. */
export const INTERRUPTED = 130;

export interface Interruption {
  /** Aborts at the first ^C or request to end; further ones change nothing. */
  signal: AbortSignal;
  /** The first one, if there was any. */
  by: () => NodeJS.Signals | undefined;
  /** Leaves further ones to whoever else listens, or to the system. */
  forget: () => void;
}

/** Takes this process's signals from now on. */
export function watchInterruption(): Interruption {
  const controller = new AbortController();
  let first: NodeJS.Signals | undefined;
  const take = (name: NodeJS.Signals) => {
    first ??= name;
    controller.abort();
  };
  SIGNALS.forEach((name) => process.on(name, take));
  return {
    signal: controller.signal,
    by: () => first,
    forget: () => SIGNALS.forEach((name) => process.off(name, take)),
  };
}

/**
 * What `work` comes to, or Fault `lab.interrupted` as soon as `signal` aborts. `work` is left to
 * itself then.
 */
export async function orInterrupted<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (signal === undefined) return work;
  work.catch(() => undefined);
  const stop = Promise.withResolvers<never>();
  const interrupt = () => stop.reject(new Fault("lab.interrupted", "interrupted"));
  if (signal.aborted) interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await Promise.race([stop.promise, work]);
  } finally {
    signal.removeEventListener("abort", interrupt);
    stop.promise.catch(() => undefined);
  }
}

/**
 * Runs a program that may have a lab up, and ends the process with the exit code that `main`
 * returns; 130 when it was told to end, 1 when it failed.
 */
export async function runInterruptible(
  main: (signal: AbortSignal) => Promise<number>,
): Promise<never> {
  const { signal } = watchInterruption();
  signal.addEventListener("abort", () => console.error("\ninterrupted: what is up is taken down"));
  try {
    process.exitCode = await main(signal);
  } catch (error) {
    const interrupted = isFault(error, "lab.interrupted");
    if (!interrupted) console.error(renderFault(error));
    process.exitCode = interrupted ? INTERRUPTED : 1;
  }
  // What was interrupted may still wait for something; its lab is gone.
  process.exit();
}
