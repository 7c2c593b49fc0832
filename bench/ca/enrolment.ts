// How fast new agents get their certificates, and what that costs: requests of new names, signed at
// once, and their certificates fetched. The load's own processor time comes out of the same cores.

import { Fault } from "../../src/base/fault.ts";
import { type Figure, figure } from "../figure.ts";
import { filled, type Group, makeTrials, type Measuring, type Seen } from "../group.ts";
import { median } from "../stats.ts";
import type { Door } from "./connection.ts";
import { type EnrolLoad, EnrolSlice, judgeEnrolment } from "./enrol-plan.ts";
import { runProgram } from "../program.ts";
import { measureSignature } from "./signature.ts";
import type { CaSite } from "./site.ts";

const CONNECTIONS = [1, 8, 64] as const;
/** Of many servers: enough to keep all of them busy. */
const CONNECTIONS_OF_MANY = 64;
const SLICE_MS = 8000;
const WARM_MS = 10_000;
/** More than any CA with a 4096-bit key signs on two cores. */
const REQUESTS_PER_SECOND = 600;
const TIMES_STOCK = 15;
const SIGNATURES_MAX = 2.5;

interface Trial {
  slices: EnrolSlice[];
  /** Processor milliseconds of one signature, measured just before. */
  signatureMs: number;
}

/** On one server, beside stock. */
export function enrolment(): Group<CaSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "enrolment",
    about: "certificates for new agents over 1, 8 and 64 connections, and what each costs",
    trials: { full: 3, quick: 1, baseline: 2 },
    measure: async (site, measuring) => {
      await warmUp(site, measuring);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const trial: Trial = { slices: [], signatureMs: await measureSignature() };
        for (const connections of CONNECTIONS) {
          const slice = await enrol(site, { connections, prefix: `t${number}-c${connections}` });
          trial.slices.push(slice);
          measuring.say(`${site.kind}: ${sliceText(slice)}`);
        }
        keep(trial);
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const ours = filled(seen.understudy);
      return ours === undefined ? [] : toFigures(ours, filled(seen.baseline));
    },
    raw: () => forFile(seen),
  };
}

/** On three servers, whose rate stands beside one's. */
export function enrolmentOfThree(): Group<CaSite> {
  const seen: Seen<Trial[]> = {};
  return {
    name: "enrolment-three",
    about: "the same on three servers at once, 64 connections",
    trials: { full: 3, quick: 1, baseline: 0 },
    measure: async (site, measuring) => {
      await warmUp(site, measuring);
      await makeTrials(seen, site, measuring, async (number, keep) => {
        const connections = CONNECTIONS_OF_MANY;
        const slice = await enrol(site, { connections, prefix: `t${number}` });
        measuring.say(`${site.kind}: ${sliceText(slice)}`);
        keep({ slices: [slice], signatureMs: Number.NaN });
      });
    },
    made: () => seen.understudy?.length ?? 0,
    figures: () => {
      const slices = (seen.understudy ?? []).flatMap((trial) => trial.slices);
      const judged = judgeEnrolment(slices, CONNECTIONS_OF_MANY);
      if (judged === undefined) return [];
      const name = "enrolment, three servers on this one machine, 64 connections";
      return [
        figure(`${name}: rate`, judged.rate, "per s"),
        figure(`${name}: p50`, judged.p50Ms, "ms"),
        figure(`${name}: p99`, judged.p99Ms, "ms"),
      ];
    },
    raw: () => forFile(seen),
  };
}

async function warmUp(site: CaSite, { say }: Measuring): Promise<void> {
  const slice = await enrol(site, { connections: 8, prefix: "warm", ms: WARM_MS });
  say(`${site.kind}: warmed up: ${sliceText(slice)}`);
}

async function enrol(
  site: CaSite,
  { ms = SLICE_MS, ...wish }: { connections: number; prefix: string; ms?: number },
): Promise<EnrolSlice> {
  const load: EnrolLoad = {
    ...wish,
    ms,
    doors: [...site.doors] as Door[],
    ca: site.ca,
    requestsMax: Math.ceil((REQUESTS_PER_SECOND * ms) / 1000),
    processes: await site.processes(),
  };
  const output = await runProgram(
    site,
    new URL("./enrol-program.ts", import.meta.url),
    load,
    ms * 3 + 60_000,
  );
  const slice = EnrolSlice.parse(JSON.parse(output));
  if (slice.errors === 0) return slice;
  throw new Fault("bench.load-failed", `${slice.errors} enrolments failed: ${slice.error}`);
}

function sliceText({ connections, enrolled, ms }: EnrolSlice): string {
  const rate = ((enrolled / ms) * 1000).toFixed(1);
  return `${connections} connections: ${enrolled} enrolments, ${rate} per s`;
}

function toFigures(ours: readonly Trial[], theirs: readonly Trial[] | undefined): Figure[] {
  const slicesOf = (trials: readonly Trial[]) => trials.flatMap(({ slices }) => slices);
  const signatureMs = median(ours.map((trial) => trial.signatureMs));
  const figures: Figure[] = [];
  for (const connections of CONNECTIONS) {
    const own = judgeEnrolment(slicesOf(ours), connections);
    const stock = theirs && judgeEnrolment(slicesOf(theirs), connections);
    if (own === undefined) continue;
    const name = `enrolment, ${connections} connection${connections === 1 ? "" : "s"}`;
    figures.push(figure(`${name}: rate`, own.rate, "per s", { baseline: stock?.rate }));
    if (stock !== undefined) {
      const times = own.rate / stock.rate;
      figures.push(
        figure(`${name}: rate / stock's`, times, "", { goal: { atLeast: TIMES_STOCK } }),
      );
    }
    figures.push(
      figure(`${name}: p50`, own.p50Ms, "ms", { baseline: stock?.p50Ms }),
      figure(`${name}: p99`, own.p99Ms, "ms", { baseline: stock?.p99Ms }),
      figure(
        `${name}: processor time in RSA 4096 signatures`,
        own.cpuMs / signatureMs,
        "signatures",
        {
          baseline: stock && stock.cpuMs / median((theirs ?? []).map((one) => one.signatureMs)),
          goal: { atMost: SIGNATURES_MAX },
        },
      ),
    );
    for (const [process, ms] of Object.entries(own.cpuOf))
      figures.push(figure(`${name}: processor time of ${process}`, ms, "ms"));
  }
  return [...figures, figure("one RSA 4096 signature: processor time", signatureMs, "ms")];
}

/** Thousands of latencies would drown the file. */
function forFile(seen: Seen<Trial[]>): unknown {
  const brief = (trials: Trial[] | undefined) =>
    trials?.map(({ signatureMs, slices }) => ({
      signatureMs,
      slices: slices.map(({ latenciesMs, ...slice }) => ({
        ...slice,
        latencies: latenciesMs.length,
      })),
    }));
  return { understudy: brief(seen.understudy), baseline: brief(seen.baseline) };
}
