// What the enrolment program is told and what it answers, and how slices are judged. Pure.

import { z } from "zod";
import { median, quantile } from "../stats.ts";
import { Door } from "./connection.ts";

/** Standard input of the enrolment program. */
export const EnrolLoad = z.object({
  /** Connections are spread over them. */
  doors: z.array(Door).min(1),
  /** PEM of the CAs that servers' certificates are checked against. */
  ca: z.string(),
  /** Makes its names other ones than those of former slices: part of a certname. */
  prefix: z.string(),
  connections: z.int().min(1),
  ms: z.int().min(1),
  /** Requests made before the slice begins; one that runs out of them ends early. */
  requestsMax: z.int().min(1),
  /** This machine's numbers of processes whose processor time is read at the slice's ends. */
  processes: z.record(z.string(), z.array(z.int())),
});
export type EnrolLoad = z.infer<typeof EnrolLoad>;

/** Its output. */
export const EnrolSlice = z.object({
  connections: z.int(),
  ms: z.number(),
  enrolled: z.int(),
  errors: z.int(),
  /** The first error's text. */
  error: z.string(),
  /** From the sending of a request to the certificate in hand; a connection's first has its TLS. */
  latenciesMs: z.array(z.number()),
  /** Processor time of each group of processes in the slice, milliseconds. */
  cpuMs: z.record(z.string(), z.number()),
});
export type EnrolSlice = z.infer<typeof EnrolSlice>;

export interface EnrolJudgement {
  /** Certificates per second: median over slices. */
  rate: number;
  /** Over all slices' enrolments, milliseconds. */
  p50Ms: number;
  p99Ms: number;
  /** Processor time of all groups together per enrolment: median over slices, milliseconds. */
  cpuMs: number;
  /** The same of each group. */
  cpuOf: Record<string, number>;
}

/** Judges the slices that had so many connections; undefined when there are none. */
export function judgeEnrolment(
  slices: readonly EnrolSlice[],
  connections: number,
): EnrolJudgement | undefined {
  const some = slices.filter((slice) => slice.connections === connections && slice.enrolled > 0);
  if (some.length === 0) return undefined;
  const latencies = some.flatMap(({ latenciesMs }) => latenciesMs);
  const groups = Object.keys(some[0]?.cpuMs ?? {});
  const perEnrolment = (names: readonly string[]) =>
    median(
      some.map(({ cpuMs, enrolled }) => {
        return names.reduce((sum, name) => sum + (cpuMs[name] ?? 0), 0) / enrolled;
      }),
    );
  return {
    rate: median(some.map(({ enrolled, ms }) => (enrolled / ms) * 1000)),
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    cpuMs: perEnrolment(groups),
    cpuOf: Object.fromEntries(groups.map((name) => [name, perEnrolment([name])])),
  };
}
