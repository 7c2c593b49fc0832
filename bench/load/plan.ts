// What the load program is told and what it answers: shapes, the order of slices, and the paired
// judgement. Pure. The idea: both ways are measured in turn within seconds, so that whatever else
// the machine does hits both, and only ratios within a pair are used.

import { z } from "zod";
import { median, medianInterval, quantile } from "../stats.ts";
import type { Interval } from "../stats.ts";

/** One way to a puppetserver. */
export const Target = z.object({
  name: z.string(),
  address: z.string(),
  port: z.int(),
  /** Sent as SNI, checked against the server's certificate. */
  serverName: z.string(),
  /** PEM of the CAs that the server's certificate is checked against. */
  ca: z.string(),
  /** Added to each request. */
  headers: z.record(z.string(), z.string()),
});
export type Target = z.infer<typeof Target>;

/** Standard input of the load program. */
export const Load = z.object({
  targets: z.array(Target),
  /** PEM: the agent's certificate and key. */
  certificate: z.string(),
  key: z.string(),
  /** Requests of one run, in order, over one connection of its own. */
  paths: z.array(z.string()),
  /** Runs that go on at the same time. */
  connections: z.int().min(1),
  slices: z.array(z.object({ target: z.string(), ms: z.int() })),
  /** This machine's numbers of processes whose processor time is read at each slice's ends. */
  processes: z.record(z.string(), z.array(z.int())),
});
export type Load = z.infer<typeof Load>;

/** One line of the load program's output. */
export const Slice = z.object({
  target: z.string(),
  ms: z.number(),
  requests: z.int(),
  errors: z.int(),
  /** The first error's text. */
  error: z.string(),
  /**
   * Each request's time until its whole answer was there; a connection's first has the handshake.
   */
  latenciesMs: z.array(z.number()),
  /** Processor time of each group of processes in the slice, milliseconds. */
  cpuMs: z.record(z.string(), z.number()),
});
export type Slice = z.infer<typeof Slice>;

/**
 * `pairs` pairs of slices; every second pair starts with the other way, so that drift hits both
 * alike.
 */
export function planSlices(names: readonly [string, string], pairs: number, ms: number) {
  const [a, b] = names;
  return Array.from({ length: pairs }, (_, pair) => (pair % 2 === 0 ? [a, b] : [b, a]))
    .flat()
    .map((target) => ({ target, ms }));
}

export interface PairedJudgement {
  pairs: number;
  /** Requests per second, `of` / `to`, each pair's. */
  ratios: number[];
  ratio: number;
  interval: Interval | undefined;
  /** Median over pairs of the difference of their median latencies, milliseconds. */
  addedP50Ms: number;
  /** Requests per second, median over slices, by target. */
  rate: Record<string, number>;
  /** Processor milliseconds per request over all slices, by target and group of processes. */
  cpuPerRequestMs: Record<string, Record<string, number>>;
}

/** Judges slices made in the order of planSlices. */
export function judgePairs(slices: readonly Slice[], of: string, to: string): PairedJudgement {
  const pairs = pairUp(slices, of, to);
  const ratios = pairs.map(({ of, to }) => rateOf(of) / rateOf(to));
  const added = pairs.map(({ of, to }) => p50(of) - p50(to));
  const byTarget = <T>(make: (slices: Slice[]) => T) => ({
    [of]: make(pairs.map((pair) => pair.of)),
    [to]: make(pairs.map((pair) => pair.to)),
  });
  return {
    pairs: pairs.length,
    ratios,
    ratio: median(ratios),
    interval: medianInterval(ratios),
    addedP50Ms: median(added),
    rate: byTarget((slices) => median(slices.map(rateOf))),
    cpuPerRequestMs: byTarget(cpuPerRequest),
  };
}

function pairUp(slices: readonly Slice[], of: string, to: string): { of: Slice; to: Slice }[] {
  const pairs: { of: Slice; to: Slice }[] = [];
  for (let index = 0; index + 1 < slices.length; index += 2) {
    const two = slices.slice(index, index + 2);
    const first = two.find(({ target }) => target === of);
    const second = two.find(({ target }) => target === to);
    if (first !== undefined && second !== undefined) pairs.push({ of: first, to: second });
  }
  return pairs;
}

function rateOf({ requests, ms }: Slice): number {
  return (requests / ms) * 1000;
}

function p50({ latenciesMs }: Slice): number {
  return quantile(latenciesMs, 0.5);
}

function cpuPerRequest(slices: Slice[]): Record<string, number> {
  const requests = slices.reduce((sum, slice) => sum + slice.requests, 0);
  const groups = new Set(slices.flatMap(({ cpuMs }) => Object.keys(cpuMs)));
  return Object.fromEntries(
    [...groups].map((group) => {
      const cpu = slices.reduce((sum, { cpuMs }) => sum + (cpuMs[group] ?? 0), 0);
      return [group, cpu / requests];
    }),
  );
}
