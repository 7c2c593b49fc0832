// What a server still does for an address that was moved on purpose.

import { z } from "zod";
import { renderDuration } from "../base/duration.ts";

export const SwitchoverStatus = z.object({
  /** `old`: it serves connections of before. `new`: it passes them on. */
  side: z.enum(["old", "new"]),
  addresses: z.array(z.string()),
  connections: z.int(),
  /** How long it goes on at most, seconds. */
  leftS: z.int(),
});
export type SwitchoverStatus = z.infer<typeof SwitchoverStatus>;

interface Told {
  member: { id: string };
  local?: { switchovers?: SwitchoverStatus[] | undefined } | undefined;
}

/** Who still serves connections of an address that another server holds by now. */
export function switchoverNotes(members: readonly Told[]): string[] {
  return members.flatMap(({ member, local }) =>
    (local?.switchovers ?? []).flatMap(({ side, addresses, connections, leftS }) => {
      if (side === "new") return [];
      const what = `${connections} connections of ${addresses.join(" and ")}`;
      const most = renderDuration(leftS);
      return [`${member.id} still serves ${what} after a switchover, for ${most} at most.`];
    }),
  );
}
