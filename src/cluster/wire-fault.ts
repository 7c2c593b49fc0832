// A Fault as it travels, between members and from the daemon to its commands.

import { z } from "zod";

/** What a failed call answers with, whatever its status. */
export const WireFault = z.object({
  error: z.object({ code: z.string(), message: z.string(), hints: z.array(z.string()) }),
});
