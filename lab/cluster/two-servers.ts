// Two fresh servers that have the package and nothing else: for scenarios of setting up.

import { buildPackage } from "../../packaging/build.ts";
import type { LabHost } from "../host.ts";
import { type Lab, openLab } from "../lab.ts";

export async function openTwoServers(): Promise<{ lab: Lab; s1: LabHost; s2: LabHost }> {
  const deb = await buildPackage();
  const lab = await openLab({ hosts: ["s1", "s2"] });
  const [s1, s2] = [lab.host("s1"), lab.host("s2")];
  await Promise.all([s1, s2].map((host) => host.installDeb(deb)));
  return { lab, s1, s2 };
}
