// The first requests of a puppetserver that has just started: each JRuby loads what every request
// needs with its first one. It is asked for its environments, which changes nothing. What it
// answers doesn't matter, unless it is an error of its own.

import { Fault } from "../base/fault.ts";
import { askPuppetserver, type PuppetserverAccess } from "./ask.ts";

const WARM_MS = 30_000;
const TIMES_MAX = 64;
const BODY_BYTES_MAX = 8 * 1024 * 1024;

/**
 * Asks `times` at once, as the certname `as`. Throws Fault `puppetserver.unwell` where it answers
 * with an error of its own, or not at all.
 */
export async function warmUp(
  access: PuppetserverAccess,
  { as, times }: { as: string; times: number },
): Promise<void> {
  const what = {
    path: "/puppet/v3/environments",
    accept: "application/json",
    bytesMax: BODY_BYTES_MAX,
    headers: { "x-client-verify": "SUCCESS", "x-client-dn": `CN=${as}` },
  };
  const signal = AbortSignal.timeout(WARM_MS);
  const asked = Array.from({ length: Math.min(times, TIMES_MAX) }, async () =>
    askPuppetserver(access, what, signal).catch((cause: unknown) => {
      throw unwell(access, "doesn't answer", cause);
    }),
  );
  for (const { status } of await Promise.all(asked)) {
    if (status >= 500) throw unwell(access, `answers ${status}`);
  }
}

function unwell({ address, port }: PuppetserverAccess, what: string, cause?: unknown): Fault {
  const message = `the puppetserver at ${address}:${port} ${what} when asked for environments`;
  return new Fault("puppetserver.unwell", message, { cause });
}
