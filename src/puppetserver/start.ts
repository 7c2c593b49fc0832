// Starts puppetserver, and waits until it serves. Danger: Debian's unit asks as the user puppet
// whether its program still runs, and gives up where that has not become this user yet, which a
// busy machine takes long for. The package has systemd try again; whoever waits does so too.

import { unit } from "../host/systemd.ts";

/** systemd itself gives it 300 s. */
const START_MS = 600_000;

/** Throws Fault `host.command-failed` where it fails twice. */
export async function startPuppetserver(
  verb: "start" | "restart",
  unitName: string,
  report: (detail: string) => void,
): Promise<void> {
  const within = { withinMs: START_MS };
  await unit(verb, unitName, within).catch(async () => {
    report("its start failed: once more");
    await unit("start", unitName, within);
  });
}
