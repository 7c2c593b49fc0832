// What the driver of a drill asks of the server that it is done to: one act of a closed list, and
// its undoing. Which unit or interface that is, the server finds out itself.

import { z } from "zod";
import { DrillId, DrillKind } from "../cluster/drill.ts";

/** What is done to a server by its own daemon; moves of addresses have acts of their own. */
export const ActKind = DrillKind.exclude(["vip-move"]);
export type ActKind = z.infer<typeof ActKind>;

export const DrillAct = z.object({ id: DrillId, kind: ActKind });
export type DrillAct = z.infer<typeof DrillAct>;

/** When it was done, told without a clock: so long before the answer, or so long after it. */
export const DrillActed = z.object({ agoMs: z.number() });
export type DrillActed = z.infer<typeof DrillActed>;

export interface DrillActs {
  /** Sets the way back, then does it. Throws Fault `drill.not-now` unless the record says so. */
  act(act: DrillAct): Promise<DrillActed>;
  /** Brings back what is still away. Nothing to bring back is no error. */
  undo(act: DrillAct): Promise<void>;
}
