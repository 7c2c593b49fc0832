// Reads puppetserver's configuration files and when it was started. No judgement here.

import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../base/fault.ts";
import { isMissing, readIfThere } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetPlaces } from "../host/puppet-layout.ts";
import { tryRun } from "../host/process.ts";
import { readOriginal } from "./originals.ts";
import type { ObservedFile, PuppetserverObserved } from "./plan.ts";
import { findStray } from "./strays.ts";
import type { ListenerConfig } from "./webserver-conf.ts";

/** Its time of change says when we last edited a file that puppetserver reads when it starts. */
export const EDITED_STAMP = join(PATHS.state, "puppetserver.edited");
/** Its time of change says when we last edited how puppetserver finds PuppetDB. */
export const TERMINUS_STAMP = join(PATHS.state, "puppetserver.terminus");
/** Holds when our last reload of puppetserver began, in ms since the epoch. */
export const RELOADED_STAMP = join(PATHS.state, "puppetserver.reloaded");
const ASK_MS = 10_000;
/** What trapperkeeper reads in conf.d. */
const READ_ENDINGS = [".conf", ".json", ".ini", ".edn", ".properties", ".yaml", ".yml"];

/** Reads everything planPuppetserver needs. Throws Fault `puppetserver.config-missing`. */
export async function observePuppetserver(
  layout: PuppetPlaces,
  listener: ListenerConfig,
): Promise<PuppetserverObserved> {
  const { confD, caCfg, unit } = layout.puppetserver;
  const [webserver, auth, ca, puppet] = await Promise.all([
    readObserved(join(confD, "webserver.conf")),
    readObserved(join(confD, "auth.conf")),
    readObserved(caCfg),
    readObserved(layout.puppetConf, ""),
  ]);
  const [elsewhere, editedMs, identityChangedMs, terminusMs, startedMs, reloaded] =
    await Promise.all([
      readElsewhere(confD),
      newestChange([EDITED_STAMP]),
      newestChange([listener.cert, listener.key, listener.caCert]),
      newestChange([TERMINUS_STAMP]),
      readStart(unit),
      readIfThere(RELOADED_STAMP),
    ]);
  const reloadedMs = reloaded === undefined ? undefined : Number(reloaded) || undefined;
  const files = { webserver, auth, ca, puppet };
  const times = { editedMs, identityChangedMs, terminusMs, startedMs, reloadedMs };
  return { ...files, elsewhere, ...times };
}

/** A file with its original. `absent` is its text where it may be missing. */
async function readObserved(path: string, absent?: string): Promise<ObservedFile> {
  try {
    const [text, original] = await Promise.all([readFile(path, "utf8"), readOriginal(path)]);
    return { path, text, original };
  } catch (error) {
    if (!isMissing(error)) throw error;
    if (absent !== undefined) return { path, text: absent, original: undefined };
    throw new Fault("puppetserver.config-missing", `${path} is not there`, {
      hints: ["Put the stock file of the puppetserver package back, then try again."],
    });
  }
}

async function readElsewhere(confD: string): Promise<PuppetserverObserved["elsewhere"]> {
  const found: PuppetserverObserved["elsewhere"] = [];
  for (const name of await readdir(confD)) {
    if (!READ_ENDINGS.some((ending) => name.endsWith(ending))) continue;
    // These two are read whole, and refused where they hold what they shouldn't.
    if (name === "webserver.conf" || name === "auth.conf") continue;
    const path = join(confD, name);
    const stray = findStray(name, (await readIfThere(path)) ?? "");
    if (stray !== undefined) found.push({ path, ...stray });
  }
  return found;
}

async function newestChange(paths: readonly string[]): Promise<number | undefined> {
  const times = await Promise.all(
    paths.map(async (path) =>
      stat(path).then(
        (stats) => stats.mtimeMs,
        () => undefined,
      ),
    ),
  );
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

/** When the unit's program was started, in ms since the epoch; undefined when it doesn't run. */
export async function readStart(unit: string): Promise<number | undefined> {
  const argv = ["systemctl", "show", unit, "--timestamp=us+utc"];
  const shown = await tryRun([...argv, "--property=MainPID,ExecMainStartTimestamp"], {
    withinMs: ASK_MS,
  }).catch(() => undefined);
  return parseStart(shown?.stdout ?? "");
}

/** Reads the two properties; the timestamp looks like "Fri 2026-11-20 12:44:31.711000 UTC". */
export function parseStart(text: string): number | undefined {
  const pid = /^MainPID=(\d+)$/m.exec(text)?.[1];
  const at = /^ExecMainStartTimestamp=\S+ (\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?) UTC$/m.exec(
    text,
  );
  if (pid === undefined || pid === "0" || at === null) return undefined;
  const ms = Date.parse(`${at[1] ?? ""}T${(at[2] ?? "").slice(0, 12)}Z`);
  return Number.isNaN(ms) ? undefined : ms;
}
