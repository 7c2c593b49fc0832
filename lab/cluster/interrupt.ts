// Ctrl-C while a lab is up: whoever opened it must get the chance to take it down.

import { Fault } from "../../src/base/fault.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** A signal that aborts at the first Ctrl-C or request to end; further ones change nothing. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of SIGNALS) process.on(name, () => controller.abort());
  return controller.signal;
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
    return await Promise.race([work, stop.promise]);
  } finally {
    signal.removeEventListener("abort", interrupt);
    stop.promise.catch(() => undefined);
  }
}
