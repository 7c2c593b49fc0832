// This server's courier as the daemon keeps it: its configuration from the view, copies of the
// certificates that it may read, its units. The courier tells which configuration it has read, so a
// restart that was interrupted is made up for. Danger: the courier goes on with what it has while
// the record is unknown; only a record that says otherwise stops it.

import { readFile, rm } from "node:fs/promises";
import type { Acts } from "../base/acts.ts";
import { messageOf } from "../base/fault.ts";
import type { Log } from "../base/log.ts";
import { CourierAnswer, type CourierStatus, silentCourier } from "../cluster/courier-status.ts";
import { leafFiles } from "../cluster/pki-store.ts";
import type { NodeFile } from "../cluster/schema.ts";
import type { View } from "../cluster/view.ts";
import { hashOf } from "../courier/run.ts";
import { wallMs } from "../host/clock.ts";
import { exists, makeFolder, writeIfChanged } from "../host/files.ts";
import { PATHS, UNITS } from "../host/paths.ts";
import type { PuppetLayout } from "../host/puppet-layout.ts";
import { isActive, unit } from "../host/systemd.ts";
import { findOwner, type Owner } from "../host/users.ts";
import { askCourierJson } from "../setup/courier-client.ts";
import { COURIER_FILES, desiredCourier } from "./courier-desired.ts";

const ASK_MS = 1500;
/** How often the units are looked at while the courier answers. */
const UNITS_EVERY_TICKS = 6;

export interface CourierHost {
  node: NodeFile;
  layout: PuppetLayout;
  acts: Acts;
  log: Log;
}

export interface CourierRunner {
  /**
   * Brings the courier to what the view wants of this server. An old view (`isFresh` false) starts
   * one, but stops none.
   */
  tick(view: View, isFresh: boolean): Promise<void>;
  /** What it says now; undefined where none is to run. */
  status(): Promise<CourierStatus | undefined>;
}

export function createCourierRunner({ node, layout, acts, log }: CourierHost): CourierRunner {
  let wanted = false;
  let ticks = 0;
  let gid: number | undefined;
  const stop = async () => {
    if (!(await exists(PATHS.courierConfig))) return;
    const because = "this server is to run none";
    acts.note("courier", [{ do: "stop", because }]);
    log.notice(`the courier stops: ${because}`);
    // The socket first: whoever connects would start it again.
    for (const name of [UNITS.courierSocket, UNITS.courier]) {
      await unit("disable", name);
      await unit("stop", name);
    }
    await rm(PATHS.courierPki, { recursive: true, force: true });
    await rm(PATHS.courierConfig, { force: true });
  };
  return {
    async tick(view, isFresh) {
      const text = desiredCourier(view, node.id, wallMs());
      if (text === undefined) {
        wanted = false;
        // Who isn't in the view at all was removed, and stands down as a whole.
        if (isFresh && view.members.some(({ id }) => id === node.id)) await stop();
        return;
      }
      wanted = true;
      gid ??= (await findOwner("understudy-courier"))?.gid;
      await copyCertificates(layout, { uid: 0, gid: gid ?? 0 });
      await writeIfChanged(PATHS.courierConfig, text, { mode: 0o644 });
      ticks += 1;
      const answer = await ask().catch(() => undefined);
      if (answer === undefined || ticks % UNITS_EVERY_TICKS === 0) await startUnits();
      if (answer === undefined || answer.loaded === hashOf(text)) return;
      const because = "what it is told has changed";
      acts.note("courier", [{ do: "restart", because }]);
      log.notice(`the courier starts anew: ${because}`);
      await unit("restart", UNITS.courier);
    },
    async status() {
      if (!wanted) return undefined;
      try {
        const { loaded: _, ...answer } = await ask();
        return { ...answer, runs: true, because: "" };
      } catch (error) {
        return silentCourier(messageOf(error));
      }
    },
  };
}

async function startUnits(): Promise<void> {
  for (const name of [UNITS.courierSocket, UNITS.courier]) {
    if (await isActive(name)) continue;
    await unit("enable", name);
    await unit("start", name);
  }
}

/** The courier's user may read none of the originals. */
async function copyCertificates(layout: PuppetLayout, owner: Owner): Promise<void> {
  const [edge, door] = [leafFiles("edge"), leafFiles("authority")];
  const copies: [string, string[]][] = [
    [COURIER_FILES.puppet, [layout.hostcert, layout.hostprivkey]],
    [COURIER_FILES.puppetCa, [layout.localcacert]],
    [COURIER_FILES.puppetCrl, [layout.hostcrl]],
    [COURIER_FILES.door, [door.certificate, door.key]],
    [COURIER_FILES.client, [edge.certificate, edge.key]],
    [COURIER_FILES.edgeCa, [edge.ca]],
    [COURIER_FILES.edgeCrl, [edge.crl]],
  ];
  await makeFolder(PATHS.courierPki, { mode: 0o750, owner });
  for (const [path, sources] of copies) {
    const texts = await Promise.all(sources.map(async (source) => readFile(source, "utf8")));
    const text = texts.map((each) => `${each.trimEnd()}\n`).join("");
    await writeIfChanged(path, text, { mode: 0o640, owner });
  }
}

/** Throws why it doesn't answer. */
async function ask() {
  return CourierAnswer.parse(await askCourierJson("/", { withinMs: ASK_MS }));
}
