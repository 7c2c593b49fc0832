// What a member says of its API for people.

import { z } from "zod";
import { ApiSettings } from "./schema.ts";

export const ApiStatus = z.object({
  /** The settings that it was last brought to; absent: it is off. */
  settings: ApiSettings.optional(),
  /** Where it listens; empty: it doesn't. */
  url: z.string(),
  /** Why it isn't as it is set. */
  because: z.string(),
  /** The last change of the access tokens that is known here. */
  accessRevision: z.int(),
  /** How many sign-ins were refused here since the daemon's start. */
  refused: z.int().default(0),
  /** When tokens were last let in here since the daemon's start, to the hour. */
  uses: z.array(z.object({ name: z.string(), at: z.string() })).default([]),
});
export type ApiStatus = z.infer<typeof ApiStatus>;
