// The last thing that init waits for: that this server holds the virtual IPs. Nobody else has them
// yet, so one that doesn't come up is wrong, and agents would find nobody at it.

import { Fault, isFault } from "../base/fault.ts";
import { until } from "../base/retry.ts";
import { configuredAddresses, parseCidr, sameAddress } from "../host/network.ts";
import { UNITS } from "../host/paths.ts";
import { journalTail } from "../host/systemd.ts";
import type { Step } from "./steps.ts";

const HELD_MS = 30_000;
const JOURNAL_LINES = 200;
const SHOWN_LINES = 4;

/** One step; none where no virtual IP is wanted. */
export function virtualIpsHeld(virtualIps: readonly string[]): Step[] {
  if (virtualIps.length === 0) return [];
  return [{ title: "virtual IP is held here", run: async () => waitFor(virtualIps) }];
}

async function waitFor(virtualIps: readonly string[]): Promise<string> {
  let missing: string[] = [];
  const held = async () => {
    const local = await configuredAddresses();
    missing = virtualIps
      .map((vip) => parseCidr(vip).address)
      .filter((vip) => !local.some(({ address }) => sameAddress(address, vip)));
    return missing.length === 0;
  };
  try {
    await until("the virtual IPs", held, { withinMs: HELD_MS, everyMs: 200 });
    return virtualIps.join(", ");
  } catch (error) {
    if (!isFault(error, "base.deadline")) throw error;
    const daemon = await journalTail(UNITS.daemon, { lines: JOURNAL_LINES });
    const keepalived = await journalTail(UNITS.vip, { lines: SHOWN_LINES });
    throw new Fault("setup.vip-not-held", `${missing.join(", ")}: this server doesn't hold it`, {
      hints: [
        "puppetserver and the edge run; agents are served at this server's own address.",
        ...daemon.filter((line) => line.includes("virtual IP")).slice(-SHOWN_LINES),
        ...keepalived,
        "When it is mended, the same command finishes. Another --vip is taken too.",
      ],
    });
  }
}
