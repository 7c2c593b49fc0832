// The mark that a CA directory is stock Puppet Server's again. From its writing on the daemon
// touches nothing in that directory, whatever the record says: stock signs there. Danger: it comes
// before stock's CA service is switched on, and must be there at every later start.

import { rm } from "node:fs/promises";
import { z } from "zod";
import { Fault, messageOf } from "../base/fault.ts";
import { Ejected } from "../cluster/schema.ts";
import { readIfThere, writeFileAtomic } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";

export const HandedOver = Ejected.extend({
  /** Of the cluster that had the CA: the mark of a former one means nothing. */
  clusterId: z.uuid(),
  /** The first serial that is stock's to give. */
  serialNext: z.int(),
  /** The newest CRL that was not stock's. */
  crlNumber: z.int(),
});
export type HandedOver = z.infer<typeof HandedOver>;

/** The mark of the cluster `clusterId`, where there is one. Throws Fault `eject.mark`. */
export async function readHandedOver(
  clusterId: string,
  path: string = PATHS.handedOver,
): Promise<HandedOver | undefined> {
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    const mark = HandedOver.parse(JSON.parse(text));
    return mark.clusterId === clusterId ? mark : undefined;
  } catch (error) {
    // Taken for absent, the daemon would write over what stock has signed.
    throw new Fault("eject.mark", `${path} can't be understood: ${messageOf(error)}`, {
      hints: ["It says that the CA directory here is stock Puppet Server's. Nothing is touched."],
      cause: error,
    });
  }
}

/** Writes it, synced. */
export async function writeHandedOver(
  mark: HandedOver,
  path: string = PATHS.handedOver,
): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(mark, null, 2)}\n`);
}

/** Takes it away: this server is of no cluster any more. */
export async function forgetHandedOver(path: string = PATHS.handedOver): Promise<void> {
  await rm(path, { force: true });
}
