// The settings and what they were before; record.ts changes them.

import { Fault } from "../../base/fault.ts";
import type { Etcd } from "../../etcd/types.ts";
import { FORMER_SETTINGS_PREFIX, SETTINGS_KEY } from "../keys.ts";
import { FormerSettings, type Kept, parseKept } from "../record.ts";
import { Settings } from "../schema.ts";

/** A former state: the revision at which it was written, until when it held. */
export interface Former {
  revision: number;
  until: string;
  settings: Settings;
}

/** The settings as they are. Throws Fault `cluster.no-record`, `etcd.…`. */
export async function readSettings(etcd: Etcd): Promise<Kept<Settings>> {
  const kv = await etcd.get(SETTINGS_KEY);
  if (kv !== undefined) return parseKept(Settings, kv);
  throw new Fault("cluster.no-record", "the record has no settings yet");
}

/** Former states, oldest first; one that can't be read is left out. */
export async function readFormer(etcd: Etcd): Promise<Former[]> {
  const { kvs } = await etcd.range(FORMER_SETTINGS_PREFIX);
  return kvs.flatMap(({ key, value }) => {
    const former = FormerSettings.safeParse(parseJson(value));
    const settings = Settings.safeParse(former.data?.settings);
    if (!former.success || !settings.success) return [];
    const revision = Number(key.slice(FORMER_SETTINGS_PREFIX.length));
    return [{ revision, until: former.data.until, settings: settings.data }];
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
