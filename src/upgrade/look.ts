// What of this server's packages could be upgraded, as apt says.

import { z } from "zod";
import { messageOf } from "../base/fault.ts";
import { PackageStep } from "../cluster/work.ts";
import { type AptHost, hasApt, readInstalled, simulate } from "./apt.ts";
import { explainApt, Installed } from "./parse.ts";
import { packagesOf } from "./parts.ts";

export const LookWish = z.object({
  parts: z.array(z.string().max(40)).max(20),
  /** Whether apt is to read its archives' lists anew first. */
  refresh: z.boolean(),
});
export type LookWish = z.infer<typeof LookWish>;

export const UpgradeLook = z.object({
  /** Whether its packages are apt's; all else is empty where they aren't. */
  apt: z.boolean(),
  /** Those of the parts that are here. */
  installed: z.array(Installed),
  /** What would change, with what they need; `from` is empty for a package that is new. */
  changes: z.array(PackageStep),
  removes: z.array(z.string()),
  /** Why the lists couldn't be read anew, or nothing can be said; empty: all is well. */
  lists: z.string(),
  problem: z.string(),
});
export type UpgradeLook = z.infer<typeof UpgradeLook>;

/** Looks; changes nothing but apt's lists. Never throws. */
export async function lookForUpgrades(
  host: AptHost & { refresh(): Promise<void> },
  { parts, refresh }: LookWish,
): Promise<UpgradeLook> {
  const none: UpgradeLook = {
    apt: false,
    installed: [],
    changes: [],
    removes: [],
    lists: "",
    problem: "",
  };
  if (!(await hasApt(host))) return none;
  const lists = refresh
    ? await host.refresh().then(
        () => "",
        (error: unknown) => explainApt(messageOf(error)),
      )
    : "";
  const installed = await readInstalled(host, packagesOf(parts));
  const wanted = installed.filter(({ held }) => !held).map(({ name }) => name);
  const look = { ...none, apt: true, installed, lists };
  if (wanted.length === 0) return look;
  return simulate(host, wanted).then(
    (plan) => ({ ...look, ...plan }),
    (error: unknown) => ({ ...look, problem: messageOf(error) }),
  );
}
