// Agents' runs that failed, as a courier saw them in the reports that it took, in few words.

import { z } from "zod";

const Text = z.string().max(300);

/** One run that failed. */
export const FailedRun = z.object({
  /** Counts all that this courier has seen in this life of its. */
  number: z.int().min(1),
  /** When the report was taken, milliseconds since the epoch. */
  takenMs: z.number(),
  certname: z.string().max(253),
  environment: z.string().max(120),
  /** The first resources that failed; none where there was no catalog. */
  resources: z
    .array(
      z.object({
        /** As in File[/etc/motd]. */
        name: Text,
        /** File and line; empty where the report has none. */
        where: Text,
        message: Text,
      }),
    )
    .max(5),
  /** How many more resources failed. */
  more: z.int(),
});
export type FailedRun = z.infer<typeof FailedRun>;

/** What a courier has kept of them. */
export const FailedRuns = z.object({
  /** Another one after each start of the courier, which forgets. */
  life: z.string().max(64),
  runs: z.array(FailedRun).max(500),
});
export type FailedRuns = z.infer<typeof FailedRuns>;
