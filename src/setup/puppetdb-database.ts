// PuppetDB's own expiry of nodes, switched off where couriers decide it, and put back. The idea: of
// a file with a password only this one setting is ours, also when it is put back.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { editNodeTtl, type IniFile, nodeTtlIn, revertNodeTtl } from "../courier/database-ini.ts";
import { readIfThere } from "../host/files.ts";
import {
  editFile,
  forgetOriginal,
  putOriginalBack,
  readOriginal,
} from "../puppetserver/originals.ts";
import type { FileWish, FoundPuppetdb } from "./puppetdb-files.ts";

/** What its file is to say (undefined when it does), and how long nodes lived before, seconds. */
export interface DatabasePlan {
  path: string;
  wish: FileWish | undefined;
  nodeTtlS: number;
}

/** Throws Fault `puppetdb.config-unknown`. */
export async function planDatabase({ confD }: FoundPuppetdb): Promise<DatabasePlan> {
  const files = await readInis(confD);
  const { path, text } = editNodeTtl(files, confD);
  const originals: IniFile[] = [];
  for (const file of files) {
    originals.push({ ...file, text: (await readOriginal(file.path)) ?? file.text });
  }
  const because = "nodes expire by the couriers' word, not by this PuppetDB's clock (node-ttl)";
  const isSo = files.some((file) => file.path === path && file.text === text);
  return { path, wish: isSo ? undefined : { path, text, because }, nodeTtlS: nodeTtlIn(originals) };
}

/** Puts node-ttl back; returns whether there was anything to put back. */
export async function revertDatabase({ confD }: FoundPuppetdb): Promise<boolean> {
  let reverted = false;
  for (const { path, text } of await readInis(confD)) {
    const original = await readOriginal(path);
    if (original === undefined) continue;
    reverted = true;
    if (editNodeTtl([{ path, text: original }], confD).text === text) {
      await putOriginalBack(path, text);
    } else {
      await editFile(path, revertNodeTtl(text, original));
      await forgetOriginal(path);
    }
  }
  return reverted;
}

/** All but jetty.ini, whose original is another part's. */
async function readInis(confD: string): Promise<IniFile[]> {
  const names = (await readdir(confD)).filter((name) => name.endsWith(".ini")).toSorted();
  const files: IniFile[] = [];
  for (const name of names) {
    const path = join(confD, name);
    if (name !== "jetty.ini") files.push({ path, text: (await readIfThere(path)) ?? "" });
  }
  return files;
}
