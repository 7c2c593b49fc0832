// The files between puppetserver and a courier, and between a courier and PuppetDB: what they are
// to say, written once each, and put back. The idea: all texts are made in memory first, so that a
// file that isn't understood stops everything before anything is written.

import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Fault } from "../base/fault.ts";
import { editJettyIni } from "../courier/jetty-ini.ts";
import { exists, readIfThere, writeFileAtomic } from "../host/files.ts";
import { PATHS } from "../host/paths.ts";
import type { PuppetPlaces } from "../host/puppet-layout.ts";
import { TERMINUS_STAMP } from "../puppetserver/observe.ts";
import { editFile, putOriginalBack, readOriginal } from "../puppetserver/originals.ts";
import {
  editPuppetdbConf,
  editRoutes,
  readServerSettings,
  setServerSettings,
  wantedSettings,
} from "../puppetserver/terminus.ts";

/** Where packages keep PuppetDB's conf.d: Debian's and the vendor's, also OpenVoxDB. */
const CONF_DS = ["/etc/puppetlabs/puppetdb/conf.d", "/etc/puppetdb/conf.d"];
/** Part of the package that lets puppetserver speak to PuppetDB. */
const TERMINUS = "puppet/indirector/catalog/puppetdb.rb";
const RUBY_FOLDERS = [
  "/opt/puppetlabs/puppet/lib/ruby/vendor_ruby",
  "/usr/lib/ruby/vendor_ruby",
  "/usr/share/puppet/lib",
];

/** An installed PuppetDB. */
export interface FoundPuppetdb {
  confD: string;
  unit: string;
}

/** PuppetDB as it is installed here, if it is. Throws Fault `puppetdb.config-unknown`. */
export async function findPuppetdb(root = "/"): Promise<FoundPuppetdb | undefined> {
  for (const folder of CONF_DS) {
    const confD = join(root, folder);
    if (!(await exists(join(confD, "jetty.ini")))) continue;
    for (const name of await readdir(confD)) {
      if (name === "jetty.ini" || !/\.(?:ini|conf|edn|json)$/.test(name)) continue;
      const text = (await readIfThere(join(confD, name))) ?? "";
      const line = text
        .split("\n")
        .findIndex((each) => /^\s*(?:\[jetty\]|jetty\s*[:={])/.test(each));
      if (line < 0) continue;
      const where = `${join(confD, name)}:${line + 1}`;
      throw new Fault(
        "puppetdb.config-unknown",
        `${where}: jetty was expected in jetty.ini alone`,
        {
          hints: ["Nothing was changed. Move these settings into jetty.ini."],
        },
      );
    }
    return { confD, unit: "puppetdb.service" };
  }
  return undefined;
}

/** Throws Fault `puppetdb.no-terminus` where puppetserver can't speak to PuppetDB. */
export async function requireTerminus(root = "/"): Promise<void> {
  for (const folder of RUBY_FOLDERS) if (await exists(join(root, folder, TERMINUS))) return;
  throw new Fault("puppetdb.no-terminus", "puppetserver's part of PuppetDB isn't installed here", {
    hints: ["Debian: apt install puppet-terminus-puppetdb", "Vendor: apt install puppetdb-termini"],
  });
}

/** What was so before, kept so that it can be put back. */
const Kept = z.object({
  format: z.literal(1),
  settings: z.record(z.string(), z.string().nullable()),
  /** Files that weren't there. */
  made: z.array(z.string()),
});
type Kept = z.infer<typeof Kept>;

/** One file that is to say something else. */
export interface FileWish {
  path: string;
  text: string;
  because: string;
}

/** The three files that make puppetserver use PuppetDB. */
function terminusPlaces({ confDir, puppetConf }: PuppetPlaces) {
  return {
    puppetdbConf: join(confDir, "puppetdb.conf"),
    routes: join(confDir, "routes.yaml"),
    puppetConf,
  };
}

/** Lists what puppetserver's files still lack. Throws Fault `puppetserver.config-unknown`. */
export async function planTerminus(layout: PuppetPlaces, urls: string[]): Promise<FileWish[]> {
  const { puppetdbConf, routes, puppetConf } = terminusPlaces(layout);
  const read = async (path: string) => (await readIfThere(path)) ?? "";
  const settings = await read(puppetConf);
  const wishes: [FileWish, string][] = [
    [
      {
        path: puppetdbConf,
        text: editPuppetdbConf(await read(puppetdbConf), urls, puppetdbConf),
        because: `puppetserver speaks to ${urls.join(", then to ")}`,
      },
      await read(puppetdbConf),
    ],
    [
      {
        path: routes,
        text: editRoutes(await read(routes), routes),
        because: "facts go to PuppetDB",
      },
      await read(routes),
    ],
    [
      {
        path: puppetConf,
        text: setServerSettings(settings, wantedSettings(settings, puppetConf), puppetConf),
        because: "catalogs and reports go to PuppetDB",
      },
      settings,
    ],
  ];
  return wishes.filter(([{ text }, before]) => text !== before).map(([wish]) => wish);
}

/** Writes them, and notes that puppetserver is to load them. */
export async function applyTerminus(layout: PuppetPlaces, wishes: FileWish[]): Promise<void> {
  if (wishes.length === 0) return;
  await keepFormer(layout);
  await writeFileAtomic(TERMINUS_STAMP, "");
  for (const { path, text } of wishes) {
    if (await exists(path)) await editFile(path, text);
    else await writeFileAtomic(path, text);
  }
  // Before and after: whenever this is interrupted, the stamp is newer than the last load.
  await writeFileAtomic(TERMINUS_STAMP, "");
}

/** Written once: a second run must not take our own edits for what was there. */
async function keepFormer(layout: PuppetPlaces): Promise<void> {
  if ((await readKept()) !== undefined) return;
  const { puppetdbConf, routes, puppetConf } = terminusPlaces(layout);
  const former = readServerSettings((await readIfThere(puppetConf)) ?? "", puppetConf);
  const made: string[] = [];
  for (const path of [puppetdbConf, routes]) if (!(await exists(path))) made.push(path);
  const settings = Object.fromEntries(
    Object.entries(former).map(([name, value]) => [name, value ?? null]),
  );
  const kept: Kept = { format: 1, settings, made };
  await writeFileAtomic(PATHS.puppetdbFile, `${JSON.stringify(kept)}\n`);
}

async function readKept(): Promise<Kept | undefined> {
  const text = await readIfThere(PATHS.puppetdbFile);
  return text === undefined ? undefined : Kept.parse(JSON.parse(text));
}

/** Puts puppetserver's files back; returns whether there was anything to put back. */
export async function revertTerminus(layout: PuppetPlaces): Promise<boolean> {
  const kept = await readKept();
  if (kept === undefined) return false;
  const { puppetdbConf, routes, puppetConf } = terminusPlaces(layout);
  await writeFileAtomic(TERMINUS_STAMP, "");
  const text = await readIfThere(puppetConf);
  if (text !== undefined) {
    const former = Object.entries(kept.settings).map(([name, value]) => [name, value ?? undefined]);
    const back = setServerSettings(text, Object.fromEntries(former), puppetConf);
    if (back !== text) await editFile(puppetConf, back);
  }
  for (const path of [puppetdbConf, routes]) {
    if (kept.made.includes(path)) await rm(path, { force: true });
    else await putOriginalBack(path, await ourText(path, path === routes));
  }
  await writeFileAtomic(TERMINUS_STAMP, "");
  await rm(PATHS.puppetdbFile, { force: true });
  return true;
}

/** What we had made of the original of `path`, so that others' edits are told apart. */
async function ourText(path: string, isRoutes: boolean): Promise<string | undefined> {
  const [original, current] = [await readOriginal(path), await readIfThere(path)];
  if (original === undefined || current === undefined) return undefined;
  try {
    if (isRoutes) return editRoutes(original, path);
    const urls = /^\s*server_urls\s*=\s*(\S+)/m.exec(current)?.[1]?.split(",") ?? [];
    return editPuppetdbConf(original, urls, path);
  } catch {
    return undefined;
  }
}

/** What PuppetDB's jetty.ini is to say; undefined when it does. */
export async function planJetty({ confD }: FoundPuppetdb): Promise<FileWish | undefined> {
  const path = join(confD, "jetty.ini");
  const text = (await readIfThere(path)) ?? "";
  const edited = editJettyIni(text, path);
  if (edited === text) return undefined;
  const because = "PuppetDB listens on loopback alone: its port is the courier's";
  return { path, text: edited, because };
}

/** Puts PuppetDB's own listener back; returns whether there was anything to put back. */
export async function revertJetty({ confD }: FoundPuppetdb): Promise<boolean> {
  const path = join(confD, "jetty.ini");
  const original = await readOriginal(path);
  if (original === undefined) return false;
  await putOriginalBack(path, editJettyIni(original, path));
  return true;
}
