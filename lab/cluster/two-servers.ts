// Two fresh servers that have the package and nothing else: for scenarios of setting up.

import { buildPackage } from "../../packaging/build.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";
import { addressOf, SHARED_NAME, VIRTUAL_ADDRESS } from "../plan.ts";

/** What sets up the first one. */
export const INIT = `understudy init --name ${SHARED_NAME} --vip ${VIRTUAL_ADDRESS}/24`;
/** Where the first one lets others join. */
export const URL = `https://${addressOf("s1")}:9140`;

export async function openTwoServers(): Promise<{ lab: Lab; s1: LabHost; s2: LabHost }> {
  const deb = await buildPackage();
  const lab = await openLab({ hosts: ["s1", "s2"] });
  const [s1, s2] = [lab.host("s1"), lab.host("s2")];
  await Promise.all([s1, s2].map((host) => host.installDeb(deb)));
  return { lab, s1, s2 };
}
