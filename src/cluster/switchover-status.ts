// What a server still does for an address that was moved on purpose.

import { z } from "zod";

export const SwitchoverStatus = z.object({
  /** `old`: it serves connections of before. `new`: it passes them on. */
  side: z.enum(["old", "new"]),
  addresses: z.array(z.string()),
  connections: z.int(),
  /** How long it goes on at most, seconds. */
  leftS: z.int(),
});
export type SwitchoverStatus = z.infer<typeof SwitchoverStatus>;
