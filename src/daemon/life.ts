// The life of the daemon's process as systemd sees it: ready when all has started, watched while it
// runs, ended in order. Danger: loops start before the last part has; a start that fails must end
// the process, or systemd would wait for it instead of starting it anew.

import { Fault, messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { notify, watchdogMs } from "../host/systemd.ts";

/** A daemon that has started. */
export interface Living {
  /** Why it should be killed and started anew; empty while all is well. */
  hung(): string;
  close(): Promise<void>;
}

/** Starts, tells systemd, and runs until TERM or INT, or until `start`'s controller aborts. */
export async function live(
  log: Log,
  start: (stop: AbortController) => Promise<Living>,
): Promise<never> {
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.once(name, () => stop.abort());
  }
  const daemon = await start(stop).catch((error: unknown) => {
    stop.abort();
    const { code, hints } = error instanceof Fault ? error : { code: "internal", hints: [] };
    log.error(`the daemon can't start: ${code}: ${messageOf(error)}`, { hints });
    process.exit(1);
  });
  await notify("READY=1");
  keepWatched(log, daemon);
  await new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    stop.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  await notify("STOPPING=1");
  await daemon.close();
  process.exit(0);
}

/** Tells systemd's watchdog that we live, for as long as that is so. */
function keepWatched(log: Log, daemon: Living): void {
  const everyMs = watchdogMs();
  if (everyMs === undefined) return;
  let said = "";
  const beat = setInterval(() => {
    const hung = daemon.hung();
    if (hung === "") void notify("WATCHDOG=1");
    else if (hung !== said) log.error(`systemd will start this daemon anew: ${hung}`);
    said = hung;
  }, everyMs);
  beat.unref();
}
